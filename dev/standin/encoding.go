package standin

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/structpb"
)

// refusals lists what is not accepted. If a stand-in ignored a property, it would report success for
// something that it has not done.
func refusals(inputs object, properties map[string]property) []*pulumirpc.CheckFailure {
	var failures []*pulumirpc.CheckFailure
	refuse := func(name, reason string) {
		failures = append(failures, &pulumirpc.CheckFailure{Property: name, Reason: reason})
	}
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		property, ok := properties[name]
		if !ok || property.output {
			refuse(name, fmt.Sprintf("property %q is not implemented by the offline stand-in", name))
		} else if want := property.wants(inputs[name]); want != "" {
			refuse(name, fmt.Sprintf("property %q must be %s", name, want))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if _, ok := inputs[name]; !ok && properties[name].required {
			refuse(name, fmt.Sprintf("missing required property %q", name))
		}
	}
	return failures
}

func unmarshal(properties *structpb.Struct) (object, error) {
	return decodeObject(properties, plugin.MarshalOptions{KeepUnknowns: true, SkipNulls: true})
}

// unmarshalState keeps nulls: an import has them where the server has no value to read.
func unmarshalState(properties *structpb.Struct) (object, error) {
	return decodeObject(properties, plugin.MarshalOptions{KeepUnknowns: true})
}

func decodeObject(properties *structpb.Struct, options plugin.MarshalOptions) (object, error) {
	values, err := plugin.UnmarshalProperties(properties, options)
	if err != nil {
		return nil, err
	}
	o := object{}
	for name, value := range values {
		// Such names belong to the engine, or to the bridge if the state is from there.
		if !strings.HasPrefix(string(name), "__") {
			o[string(name)] = value
		}
	}
	return o, nil
}

// marshal encodes values, with the properties marked that are secret whatever the program says.
func marshal(values object, properties map[string]property) (*structpb.Struct, error) {
	marked := resource.PropertyMap{}
	for name, value := range values {
		if properties[name].secret {
			value = resource.MakeSecret(value)
		}
		marked[resource.PropertyKey(name)] = value
	}
	return plugin.MarshalProperties(marked, plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true})
}
