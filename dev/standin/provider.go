// Package standin has two small Pulumi resource plugins that replace the official ones, postgresql
// and random, where those cannot be installed. They run the real SQL for the resource types that this
// project declares, so that the real engine, state and server can be tested offline.
//
// They are for throwaway servers. They refuse every host but this machine, and every resource type
// and property that they do not implement. Otherwise they do what pulumi-postgresql 3.18.0, which is
// made from terraform-provider-postgresql, and pulumi-random 4.21.2 do. That includes what is awkward
// about these: with a kinder stand-in, tests would pass that fail for users.
package standin

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/emptypb"
)

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
// gone is removed from the state. If there never was one, the engine reports that.
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

func (p *provider) typeOf(urn string) (resourceType, error) {
	name := resource.URN(urn).Type()
	t, ok := p.types[name]
	if !ok {
		return t, fmt.Errorf("resource type %s is not implemented by the offline stand-in", name)
	}
	return t, nil
}
