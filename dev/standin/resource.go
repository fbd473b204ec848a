package standin

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil/rpcerror"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
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
	// parse makes from an ID the properties that read needs to find an object. It is nil for a type
	// that cannot be imported. The official plugins cannot import these either, except for a random
	// password.
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
// default. Null stands for what the server does not have: a password in plain text, and options of the
// program. The next run compares its plan with that, sets the password and records the options.
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

// change decodes a state and new inputs and makes the plan that leads from one to the other. A
// property that the program does not give gets its default. An ignored property, and a computed one
// that the program does not give, keeps the value of the state.
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

// outcome reads back what was just made. If that fails, or if the update before it did, it
// reports a resource that exists but failed to initialize, which the engine records as planned. The
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
