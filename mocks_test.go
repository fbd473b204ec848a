package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/internals"
)

// generated is the password the mock gives the named RandomPassword.
func generated(name string) string { return "generated-for-" + name }

// mocks stands in for the engine: it records what is registered, refuses a URN that is
// registered twice, as the engine does and the SDK's own mock does not, and can fail a resource.
type mocks struct {
	fail string // logical name
	// deployed are outputs, by logical name, that differ from the inputs because a resource was
	// deployed with others and the program ignores the change.
	deployed map[string]resource.PropertyMap
	// platform are the outputs of the stack that is referred to.
	platform resource.PropertyMap

	mu        sync.Mutex
	resources map[resource.URN]pulumi.MockResourceArgs
}

func (m *mocks) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	return nil, fmt.Errorf("%s called: the program calls no function", args.Token)
}

func (m *mocks) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	parent := resource.URN(args.RegisterRPC.GetParent())
	if parent != "" && parent.QualifiedType() == resource.RootStackType {
		parent = ""
	}
	urn := resource.CreateURN(args.Name, args.TypeToken, parent, "tenant-permissions", "test")
	if _, twice := m.resources[urn]; twice {
		return "", nil, fmt.Errorf("duplicate URN %s", urn)
	}
	if m.resources == nil {
		m.resources = map[resource.URN]pulumi.MockResourceArgs{}
	}
	m.resources[urn] = args
	if args.Name == m.fail {
		// The engine's diagnostics name the resource by its URN, so this does too.
		return "", nil, fmt.Errorf("%s: refused by the server", urn)
	}
	outputs := args.Inputs.Copy()
	if args.TypeToken == "pulumi:pulumi:StackReference" {
		outputs["outputs"] = resource.NewProperty(m.platform)
	}
	for key, value := range m.deployed[args.Name] {
		if !slices.Contains(args.RegisterRPC.GetIgnoreChanges(), string(key)) {
			return "", nil, fmt.Errorf("%s: a change of %s is not ignored", urn, key)
		}
		outputs[key] = value
	}
	if args.TypeToken == "random:index/randomPassword:RandomPassword" {
		// Mocks ignore which outputs the SDK calls secret, so the mark is set here.
		outputs["result"] = resource.MakeSecret(resource.NewProperty(generated(args.Name)))
	}
	return args.Name + "-id", outputs, nil
}

// named is the one resource with the logical name.
func (m *mocks) named(t *testing.T, name string) pulumi.MockResourceArgs {
	t.Helper()
	var found []pulumi.MockResourceArgs
	for _, args := range m.resources {
		if args.Name == name {
			found = append(found, args)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d resources are named %s, want 1", len(found), name)
	}
	return found[0]
}

// urns are the URNs of all registered resources, sorted.
func (m *mocks) urns() []string {
	var urns []string
	for urn := range m.resources {
		urns = append(urns, string(urn))
	}
	slices.Sort(urns)
	return urns
}

// describeAll renders everything that was registered, one resource a line, sorted: type, logical
// name, inputs (with the resource that each comes from), and options.
func (m *mocks) describeAll() string {
	var lines []string
	for _, args := range m.resources {
		lines = append(lines, m.describe(args))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// describe renders one resource. Of privileges and what they are on, after=logins stands for direct
// dependencies on all roles with a password, of the stack and of the same tenant.
func (m *mocks) describe(args pulumi.MockResourceArgs) string {
	rpc := args.RegisterRPC
	_, kind, _ := strings.Cut(args.TypeToken, "/")
	_, kind, _ = strings.Cut(kind, ":")
	if kind == "" {
		kind = args.TypeToken
	}
	words := []string{kind, args.Name}
	if parent := resource.URN(rpc.GetParent()); parent != "" && parent.QualifiedType() != resource.RootStackType {
		words = append(words, "parent="+parent.Name())
	}
	edges := map[string]bool{}
	for _, key := range args.Inputs.StableKeys() {
		value := args.Inputs[key]
		secret := value.IsSecret()
		if secret {
			value = value.SecretValue().Element
		}
		text := fmt.Sprint(value.Mappable())
		if secret {
			text = "secret"
		}
		for _, urn := range slices.Sorted(slices.Values(rpc.GetPropertyDependencies()[string(key)].GetUrns())) {
			text += "<-" + resource.URN(urn).Name()
			edges[urn] = true
		}
		words = append(words, fmt.Sprintf("%s=%s", key, text))
	}
	after := rpc.GetDependencies()
	comesAfter := slices.Contains([]string{"Grant", "DefaultPrivileges", "Schema", "Extension"}, kind)
	if logins := m.logins(rpc.GetParent()); comesAfter && !slices.ContainsFunc(logins, func(urn string) bool { return !slices.Contains(after, urn) }) {
		words = append(words, "after=logins")
		after = slices.DeleteFunc(slices.Clone(after), func(urn string) bool { return slices.Contains(logins, urn) })
	}
	for _, urn := range after {
		if !edges[urn] {
			words = append(words, "after="+resource.URN(urn).Name())
		}
	}
	if with := rpc.GetDeletedWith(); with != "" {
		words = append(words, "deletedWith="+resource.URN(with).Name())
	}
	if rpc.GetProtect() {
		words = append(words, "protected")
	}
	if rpc.GetRetainOnDelete() {
		words = append(words, "retainOnDelete")
	}
	if rpc.GetDeleteBeforeReplace() {
		words = append(words, "deleteBeforeReplace")
	}
	if trigger := rpc.GetReplacementTrigger(); trigger != nil {
		words = append(words, fmt.Sprintf("replacementTrigger=%v", trigger.AsInterface()))
	}
	if ignored := rpc.GetIgnoreChanges(); len(ignored) > 0 {
		words = append(words, "ignores="+strings.Join(ignored, ","))
	}
	return strings.Join(words, " ")
}

// logins are the URNs of the roles with a password, those of tenants only if the tenant is parent.
func (m *mocks) logins(parent string) (urns []string) {
	for urn, args := range m.resources {
		of := args.RegisterRPC.GetParent()
		if args.Inputs["password"].HasValue() && (of == parent || resource.URN(of).QualifiedType() == resource.RootStackType) {
			urns = append(urns, string(urn))
		}
	}
	return urns
}

// run deploys with the given config under mocks and returns what was registered, the exports,
// and the program's error. Config goes the way the CLI sends it.
func run(t *testing.T, config map[string]string, m *mocks) (pulumi.Map, error) {
	t.Helper()
	env, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(pulumi.EnvConfig, string(env))
	exports := pulumi.Map{}
	err = pulumi.RunErr(func(ctx *pulumi.Context) error {
		err := deploy(ctx)
		for name, value := range ctx.GetCurrentExportMap() {
			exports[name] = value
		}
		return err
	}, pulumi.WithMocks("tenant-permissions", "test", m))
	return exports, err
}

// stackConfig is a config of the program with the given JSON for tenants and roles, and for readers if
// there are any.
func stackConfig(tenants, roles string, readers ...string) map[string]string {
	cfg := map[string]string{
		"postgresql:database":        "platform",
		"tenant-permissions:tenants": tenants,
		"tenant-permissions:roles":   roles,
	}
	if len(readers) > 0 {
		cfg["tenant-permissions:readers"] = readers[0]
	}
	return cfg
}

// await resolves an exported value and says whether it is a secret.
func await(t *testing.T, value pulumi.Input) (any, bool) {
	t.Helper()
	result, err := internals.UnsafeAwaitOutput(context.Background(), pulumi.ToOutput(value))
	if err != nil {
		t.Fatal(err)
	}
	return result.Value, result.Secret
}

func TestMockRejectsDuplicateURN(t *testing.T) {
	register := func(names ...string) error {
		return pulumi.RunErr(func(ctx *pulumi.Context) error {
			for _, name := range names {
				if _, err := newPassword(ctx, name, 1); err != nil {
					return err
				}
			}
			return nil
		}, pulumi.WithMocks("tenant-permissions", "test", &mocks{}))
	}
	if err := register("a", "b"); err != nil {
		t.Errorf("two resources with two names: %v", err)
	}
	if err := register("a", "a"); err == nil || !strings.Contains(err.Error(), "duplicate URN") {
		t.Errorf("two resources with one name: got error %v, want duplicate URN", err)
	}
}
