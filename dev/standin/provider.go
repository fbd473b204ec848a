// Package standin holds two small Pulumi resource plugins that stand in for the official ones,
// postgresql and random, where those cannot be had. They run the real SQL for the resource types
// this project declares, so that the real engine, state and server can be tested offline.
//
// They are for throwaway servers: any host but this machine is refused, as is every resource type
// and property they do not implement. Otherwise they do what pulumi-postgresql 3.18.0, which
// carries terraform-provider-postgresql, and pulumi-random 4.21.2 do, and above all what is
// awkward about them: a kinder stand-in would let tests pass that fail for users.
package standin

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil/rpcerror"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// A resourceType says what a resource is made of and how it is managed. Its functions get values
// without secret marks; an error may be shown and must not repeat one.
type resourceType struct {
	properties map[string]property
	// deleteBeforeReplace is what the official plugin asks of the engine. Without it, and without
	// the program's own option, a replacement is created first and the old one deleted after it.
	deleteBeforeReplace bool

	id func(state object) string
	// parse makes of an ID what read needs to find an object. It is nil for what cannot be imported:
	// the official plugins find nothing by the ID either, except for a random password.
	parse func(id string) (object, error)
	// create makes what is planned; it may add outputs to it.
	create func(ctx context.Context, planned object) error
	// read returns the state as it is found, nil if there is nothing. It also ends every create
	// and update, as in the official plugin.
	read func(ctx context.Context, state object) (object, error)
	// update is nil if every change replaces the resource.
	update func(ctx context.Context, prior, planned object) error
	delete func(ctx context.Context, state object) error
}

// provider serves resource types over Pulumi's plugin protocol, the way the Terraform bridge does
// for the official plugins. Methods it does not have answer "unimplemented".
type provider struct {
	pulumirpc.UnimplementedResourceProviderServer
	version   string
	types     map[tokens.Type]resourceType
	settings  map[string]property
	configure func(ctx context.Context, settings object) error
	// checkSettings refuses settings before anything is planned with them.
	checkSettings func(settings object) error
}

func (p *provider) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: p.version}, nil
}

// CheckConfig refuses settings before anything is planned with them. A setting without a value yet,
// an output of another resource, is looked at again by Configure.
func (p *provider) CheckConfig(_ context.Context, req *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	settings, err := unmarshal(req.GetNews())
	if err != nil {
		return nil, fmt.Errorf("reading the provider's settings: %w", err)
	}
	failures := refusals(settings, p.settings)
	unknown := slices.ContainsFunc(slices.Collect(maps.Values(settings)), resource.PropertyValue.ContainsUnknowns)
	if len(failures) == 0 && !unknown {
		if err := p.checkSettings(settings); err != nil {
			failures = append(failures, &pulumirpc.CheckFailure{Reason: err.Error()})
		}
	}
	inputs, err := marshal(settings, p.settings)
	if err != nil {
		return nil, fmt.Errorf("returning the provider's settings: %w", err)
	}
	return &pulumirpc.CheckResponse{Inputs: inputs, Failures: failures}, nil
}

func (p *provider) Configure(ctx context.Context, req *pulumirpc.ConfigureRequest) (*pulumirpc.ConfigureResponse, error) {
	settings, err := unmarshal(req.GetArgs())
	if err != nil {
		return nil, fmt.Errorf("reading the provider's settings: %w", err)
	}
	if failures := refusals(settings, p.settings); len(failures) > 0 {
		return nil, fmt.Errorf("provider setting %s: %s", failures[0].Property, failures[0].Reason)
	}
	if err := p.configure(ctx, settings); err != nil {
		return nil, err
	}
	// Secrets are not accepted: the engine sends plain values and marks the outputs that repeat
	// a secret input, which is how it works with the bridge too.
	return &pulumirpc.ConfigureResponse{SupportsPreview: true}, nil
}

// Check refuses inputs of an unknown name or a wrong kind. Defaults are added when a plan is made,
// so that the recorded inputs are those of the program.
func (p *provider) Check(_ context.Context, req *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	t, err := p.typeOf(req.GetUrn())
	if err != nil {
		return nil, err
	}
	inputs, err := unmarshal(req.GetNews())
	if err != nil {
		return nil, fmt.Errorf("reading the inputs: %w", err)
	}
	checked, err := marshal(inputs, t.properties)
	if err != nil {
		return nil, fmt.Errorf("returning the inputs: %w", err)
	}
	return &pulumirpc.CheckResponse{Inputs: checked, Failures: refusals(inputs, t.properties)}, nil
}

// Diff compares what is planned with the state, not with the old inputs: what a refresh found on
// the server shows up even if the program never mentioned it.
func (p *provider) Diff(_ context.Context, req *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	t, err := p.typeOf(req.GetUrn())
	if err != nil {
		return nil, err
	}
	prior, planned, err := t.change(req.GetOlds(), req.GetNews(), req.GetIgnoreChanges())
	if err != nil {
		return nil, err
	}
	diff := &pulumirpc.DiffResponse{
		Changes:         pulumirpc.DiffResponse_DIFF_NONE,
		DetailedDiff:    map[string]*pulumirpc.PropertyDiff{},
		HasDetailedDiff: true,
	}
	var differing, settled []string
	for name, property := range t.properties {
		old, had := prior[name]
		switch {
		case property.output:
		case !property.equal(old, planned[name]):
			differing = append(differing, name)
		case had && old.IsNull() && planned[name].IsBool():
			settled = append(settled, name)
		}
	}
	// False for a flag that an import left open is no change of its own, but is named beside one.
	if len(differing) > 0 {
		differing = append(differing, settled...)
	}
	slices.Sort(differing)
	for _, name := range differing {
		property := t.properties[name]
		diff.Changes = pulumirpc.DiffResponse_DIFF_SOME
		diff.Diffs = append(diff.Diffs, name)
		kind := pulumirpc.PropertyDiff_UPDATE
		if property.replaces {
			kind = pulumirpc.PropertyDiff_UPDATE_REPLACE
			diff.Replaces = append(diff.Replaces, name)
			diff.DeleteBeforeReplace = t.deleteBeforeReplace
		}
		diff.DetailedDiff[name] = &pulumirpc.PropertyDiff{Kind: kind}
	}
	return diff, nil
}

func (p *provider) Create(ctx context.Context, req *pulumirpc.CreateRequest) (*pulumirpc.CreateResponse, error) {
	t, err := p.typeOf(req.GetUrn())
	if err != nil {
		return nil, err
	}
	prior, planned, err := t.change(nil, req.GetProperties(), nil)
	if err != nil {
		return nil, err
	}
	if req.GetPreview() {
		outputs, err := marshal(planned, t.properties)
		return &pulumirpc.CreateResponse{Properties: outputs}, err
	}
	if err := t.create(ctx, planned); err != nil {
		return nil, err
	}
	outputs, err := t.outcome(ctx, prior, planned, nil)
	if err != nil {
		return nil, err
	}
	return &pulumirpc.CreateResponse{Id: t.id(planned), Properties: outputs}, nil
}

func (p *provider) Update(ctx context.Context, req *pulumirpc.UpdateRequest) (*pulumirpc.UpdateResponse, error) {
	t, err := p.typeOf(req.GetUrn())
	if err != nil {
		return nil, err
	}
	prior, planned, err := t.change(req.GetOlds(), req.GetNews(), req.GetIgnoreChanges())
	if err != nil {
		return nil, err
	}
	if req.GetPreview() {
		outputs, err := marshal(planned, t.properties)
		return &pulumirpc.UpdateResponse{Properties: outputs}, err
	}
	if t.update == nil { // asked for only if the creation came to a bad end
		return nil, fmt.Errorf("%s cannot be updated: refresh the stack or remove it", t.id(prior))
	}
	outputs, err := t.outcome(ctx, prior, planned, t.update(ctx, prior, planned))
	return &pulumirpc.UpdateResponse{Properties: outputs}, err
}

func (p *provider) Delete(ctx context.Context, req *pulumirpc.DeleteRequest) (*emptypb.Empty, error) {
	t, err := p.typeOf(req.GetUrn())
	if err != nil {
		return nil, err
	}
	state, err := unmarshalState(req.GetProperties())
	if err != nil {
		return nil, fmt.Errorf("reading the state: %w", err)
	}
	return &emptypb.Empty{}, t.delete(ctx, state)
}

// Read refreshes a resource, or imports it if the engine knows nothing but its ID. An object that is
// gone leaves the state; one that was never there is the engine's to complain about.
func (p *provider) Read(ctx context.Context, req *pulumirpc.ReadRequest) (*pulumirpc.ReadResponse, error) {
	t, err := p.typeOf(req.GetUrn())
	if err != nil {
		return nil, err
	}
	var found, inputs object
	if len(req.GetProperties().GetFields()) == 0 {
		found, inputs, err = t.find(ctx, req.GetId())
	} else {
		found, inputs, err = t.refresh(ctx, req.GetProperties(), req.GetInputs())
	}
	if err != nil {
		return nil, err
	}
	if found == nil {
		return &pulumirpc.ReadResponse{}, nil
	}
	response := &pulumirpc.ReadResponse{Id: t.id(found)}
	if response.Properties, err = marshal(found, t.properties); err != nil {
		return nil, fmt.Errorf("returning the state: %w", err)
	}
	if response.Inputs, err = marshal(inputs, t.properties); err != nil {
		return nil, fmt.Errorf("returning the inputs: %w", err)
	}
	return response, nil
}

// refresh makes the outputs what the server has, and so those inputs that the program had given,
// and only those.
func (t resourceType) refresh(ctx context.Context, olds, oldInputs *structpb.Struct) (found, inputs object, err error) {
	state, err := unmarshalState(olds)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the state: %w", err)
	}
	if inputs, err = unmarshalState(oldInputs); err != nil {
		return nil, nil, fmt.Errorf("reading the inputs: %w", err)
	}
	if found, err = t.read(ctx, state); err != nil {
		return nil, nil, err
	}
	for name := range inputs {
		if value, ok := found[name]; ok {
			inputs[name] = value
		} else {
			delete(inputs, name)
		}
	}
	return found, inputs, nil
}

// find makes an imported object's state and the inputs a program needs for it: what is not the
// default. Null is what the server does not tell: a password, and options that are the program's
// alone. The next run compares its plan with that, sets the one and records the others.
func (t resourceType) find(ctx context.Context, id string) (found, inputs object, err error) {
	if t.parse == nil {
		return nil, nil, fmt.Errorf("import of %q is not implemented by the offline stand-in", id)
	}
	state, err := t.parse(id)
	if err != nil {
		return nil, nil, err
	}
	if found, err = t.read(ctx, state); err != nil || found == nil {
		return nil, nil, err
	}
	inputs = object{}
	for name, property := range t.properties {
		value, known := found[name]
		if !known {
			found[name] = value
		}
		unneeded := empty(value)
		if property.fallback != nil {
			unneeded = value.DeepEquals(resource.NewPropertyValue(property.fallback))
		}
		if property.required || !unneeded {
			inputs[name] = value
		}
	}
	return found, inputs, nil
}

func (p *provider) typeOf(urn string) (resourceType, error) {
	name := resource.URN(urn).Type()
	t, ok := p.types[name]
	if !ok {
		return t, fmt.Errorf("resource type %s is not implemented by the offline stand-in", name)
	}
	return t, nil
}

// change decodes a state and new inputs and makes the plan that leads from one to the other. What
// the program leaves out takes its default; what it ignores, and a computed property it leaves
// out, keeps what the state has.
func (t resourceType) change(olds, news *structpb.Struct, ignored []string) (prior, planned object, err error) {
	if prior, err = unmarshalState(olds); err != nil {
		return nil, nil, fmt.Errorf("reading the state: %w", err)
	}
	inputs, err := unmarshal(news)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the inputs: %w", err)
	}
	for _, path := range ignored {
		if _, ok := t.properties[path]; !ok {
			return nil, nil, fmt.Errorf("ignoreChanges for %q is not implemented by the offline stand-in", path)
		}
	}
	planned = object{}
	for name, property := range t.properties {
		input, given := inputs[name]
		old, had := prior[name]
		switch {
		case slices.Contains(ignored, name), !given && (property.computed || property.output) && had:
			if had {
				planned[name] = old
			}
		case given:
			planned[name] = input
		case property.computed, property.output:
			planned[name] = resource.MakeComputed(resource.NewProperty(""))
		case property.fallback != nil:
			planned.set(name, property.fallback)
		}
	}
	return prior, planned, nil
}

// outcome reads back what was just made. If that fails, or if the update before it did, the engine
// is told of a resource that exists but is not right, and records it as it was planned: the
// official plugins do so as well. Sets are recorded as planned even where the server has something
// else, a rule of Terraform's SDK (normalizeNullValues): only a refresh shows that a GRANT or
// REVOKE did nothing. The exception is a set that was and is to be empty.
func (t resourceType) outcome(ctx context.Context, prior, planned object, failed error) (*structpb.Struct, error) {
	state := planned
	if failed == nil {
		state, failed = t.read(ctx, planned)
		if failed == nil && state == nil {
			return nil, fmt.Errorf("%s is not on the server after it was written", t.id(planned))
		}
	}
	if failed != nil {
		state = planned
		maps.DeleteFunc(state, func(_ string, v resource.PropertyValue) bool { return v.ContainsUnknowns() })
	}
	for name, property := range t.properties {
		if property.kind == set && (!empty(prior[name]) || !empty(planned[name])) {
			state[name] = planned[name]
		}
	}
	outputs, err := marshal(state, t.properties)
	if err != nil {
		return nil, fmt.Errorf("returning the state: %w", err)
	}
	if failed != nil {
		return nil, rpcerror.WithDetails(rpcerror.New(codes.Unknown, failed.Error()), &pulumirpc.ErrorResourceInitFailed{
			Id: t.id(planned), Properties: outputs, Reasons: []string{failed.Error()},
		})
	}
	return outputs, nil
}

// refusals lists what cannot be accepted: a stand-in that ignored a property would report success
// for something it has not done.
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

// unmarshalState keeps nulls: an import leaves them for what the server does not tell.
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
		// What starts so is bookkeeping of the engine, or of the bridge if the state is from there.
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
