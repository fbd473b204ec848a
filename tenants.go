package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi-postgresql/sdk/v3/go/postgresql"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"tenant-permissions/internal/config"
	"tenant-permissions/internal/deployed"
	"tenant-permissions/internal/policy"
)

// Tenant is one tenant's login role and schema, and the privileges that tie the two together.
type Tenant struct {
	pulumi.ResourceState

	// SchemaName is the name of the schema, and Database that of the database it is in. Previous is the
	// database of the schema that a tenant which moves has left.
	SchemaName, Database, Previous pulumi.StringOutput
	// Login is not among the component's outputs: the state holds its passwords once.
	Login *Login
	// Agents are the tenant's read-only logins by key, and AgentsRole is the name of their group role.
	Agents     map[string]*Login
	AgentsRole pulumi.StringOutput

	key    string
	stack  config.Config
	config config.Tenant
	shared *SharedRoles
	// names are the names of the policy's roles, with those of the tenant.
	names roleNames
	// roles are the tenant's role and its agents', with all their alternating logins.
	roles []pulumi.Resource
	// in is where the tenant's privileges hold. privileges is the last of them, none of a retired tenant.
	// extensionSchema is the name of the schema of the extensions in the tenant's own database.
	in              scope
	privileges      []pulumi.Resource
	extensionSchema pulumi.StringOutput
}

// newTenants registers every tenant and returns them by key.
func newTenants(ctx *pulumi.Context, cfg config.Config, shared *SharedRoles) (map[string]*Tenant, error) {
	tenants := map[string]*Tenant{}
	for _, key := range slices.Sorted(maps.Keys(cfg.Tenants)) {
		tenants[key] = &Tenant{key: key, stack: cfg, config: cfg.Tenants[key], shared: shared, names: maps.Clone(shared.Names)}
		if err := tenants[key].register(ctx); err != nil {
			return nil, fmt.Errorf("tenant %s: %w", key, err)
		}
	}
	return tenants, newAdoptions(ctx, tenants)
}

// register registers the tenant. A retired one has its role and schema still, but cannot log in and has
// no privileges in the schema. Its role cannot go before the tables it was granted.
func (t *Tenant) register(ctx *pulumi.Context) error {
	if err := ctx.RegisterComponentResource("tenant-permissions:index:Tenant", t.key, t); err != nil {
		return err
	}
	if err := t.newRole(ctx); err != nil {
		return err
	}
	if err := t.newAgents(ctx); err != nil {
		return err
	}
	if t.config.Previous != config.PreviousNone {
		if _, err := t.newSchema(ctx, t.config.Isolation.Other(), t.config.Previous == config.PreviousDrop); err != nil {
			return err
		}
		t.Previous = t.Database
	}
	schema, err := t.newSchema(ctx, t.config.Isolation, t.config.Retire == config.RetireDrop)
	if err != nil {
		return err
	}
	if t.config.Retire == config.NotRetired {
		if err := t.newPrivileges(ctx, schema); err != nil {
			return err
		}
	}
	return ctx.RegisterResourceOutputs(t, pulumi.Map{"roleName": t.Login.Name, "schemaName": t.SchemaName})
}

// memberOf are the group roles of the tenant or of an agent.
func (t *Tenant) memberOf(role policy.Role) pulumi.StringArray {
	if t.config.Isolation == config.IsolationDatabase {
		return t.names.of(policy.IsolatedMemberOf(role))
	}
	return t.names.of(policy.MemberOf(role))
}

// newRole registers the tenant's role, which logs in.
func (t *Tenant) newRole(ctx *pulumi.Context) (err error) {
	t.Login, err = newLogin(ctx, t.key, "tenants."+t.key+".role", t.config.Login, postgresql.RoleArgs{
		Roles:       t.memberOf(policy.Tenant),
		SearchPaths: t.shared.searchPath(t.config.Schema),
	}, pulumi.Parent(t), pulumi.DependsOn(t.shared.Ready))
	if err != nil {
		return err
	}
	t.names[policy.Tenant], t.roles = t.Login.Name, t.Login.Roles
	// Dropping the role ends its memberships. An explicit REVOKE before that fails on PostgreSQL 16+
	// (dependent privileges exist) once the admin has granted the tenant's role to somebody.
	withRole := []pulumi.ResourceOption{pulumi.Parent(t), pulumi.DeletedWith(t.Login.Roles[0])}
	_, err = newMemberships(ctx, scope{prefix: t.key + "-", names: t.names, opts: withRole}, policy.TenantMemberships())
	return err
}

// newAgents registers the tenant's agents and their group role, which has the privileges. So the
// privileges on existing tables are granted once, with the first agent. Agents are no members of the
// tenant's role.
func (t *Tenant) newAgents(ctx *pulumi.Context) error {
	if len(t.config.Agents) == 0 {
		return nil
	}
	path, opts := "tenants."+t.key+".agents", []pulumi.ResourceOption{pulumi.Parent(t), pulumi.DependsOn(t.shared.Ready)}
	group, err := newGroupRole(ctx, t.key+"-agents", t.config.AgentsRole, opts...)
	if err != nil {
		return err
	}
	t.AgentsRole, t.Agents = deployed.Unchanged(path, t.config.AgentsRole, group.Name), map[string]*Login{}
	t.names[policy.Agents], t.roles = t.AgentsRole, append(slices.Clone(t.roles), group)
	for _, key := range slices.Sorted(maps.Keys(t.config.Agents)) {
		agent, err := newLogin(ctx, t.key+"-agent-"+key, config.Join(path, key)+".name", t.config.Agents[key], postgresql.RoleArgs{
			Roles:       t.memberOf(policy.Agent),
			SearchPaths: t.shared.searchPath(t.config.Schema),
		}, opts...)
		if err != nil {
			return err
		}
		t.Agents[key], t.roles = agent, append(t.roles, agent.Roles...)
	}
	return nil
}

// newSchema registers the tenant's schema, in a database of its own or in the stack's. It goes before
// the roles, of which one cannot be dropped while it has privileges in it, and none is to go if the
// schema stays. With data in it, it does not go at all: PostgreSQL refuses, unless drop is set.
//
// The provider takes over an existing schema without a word, whoever it belongs to, even another
// stack. It never does so with a role. So where the tenant's role has not the schema's name, an
// empty role takes it: of two tenants with one schema the second fails, and nothing is touched.
func (t *Tenant) newSchema(ctx *pulumi.Context, isolation config.Isolation, drop bool) (_ *postgresql.Schema, err error) {
	var after []pulumi.Resource
	t.in = scope{prefix: t.key + "-", database: pulumi.String(t.stack.Database), names: t.names}.with(pulumi.Parent(t), afterLogins(t.roles, t.shared.logins))
	t.Database = pulumi.String(t.stack.Database).ToStringOutput()
	switch {
	case isolation == config.IsolationDatabase:
		if after, err = t.newDatabase(ctx, drop); err != nil {
			return nil, err
		}
	case t.config.Schema != t.config.Login.Name:
		claim, err := newGroupRole(ctx, t.key+"-schema-claim", t.config.Schema, pulumi.Parent(t), pulumi.DependsOn(t.shared.Ready))
		if err != nil {
			return nil, err
		}
		after = append(after, claim)
	}
	schema, err := postgresql.NewSchema(ctx, t.in.prefix+"schema", &postgresql.SchemaArgs{
		Name:        pulumi.String(t.config.Schema),
		Database:    t.in.database,
		Owner:       t.names[policy.Admin],
		DropCascade: pulumi.Bool(drop),
	}, t.in.with(pulumi.DependsOn(after), keepName(), pulumi.Protect(t.stack.ProtectTenants && !drop)).opts...)
	if err != nil {
		return nil, err
	}
	t.SchemaName = deployed.Unchanged("tenants."+t.key+".schema", t.config.Schema, schema.Name)
	t.in.schema = t.SchemaName
	return schema, nil
}

// newPrivileges registers what the tenant may do in its schema. It owns nothing. The admin owns the
// schema and what is in it, so the tenant's code, which may be SQL written by a model, can neither
// drop nor alter nor grant what it works with.
func (t *Tenant) newPrivileges(ctx *pulumi.Context, schema *postgresql.Schema) (err error) {
	// They go with the schema. Where PostgreSQL refuses to drop it because of the data in it, the
	// tenant still has everything and can be put back.
	withSchema := t.in.with(pulumi.DeletedWith(schema))
	grants, defaults := policy.OnTenantSchema(), policy.TenantDefaults()
	if t.config.ExecuteFunctions {
		grants, defaults = append(grants, policy.OnFunctions()...), append(defaults, policy.FunctionDefaults()...)
	}
	after := []pulumi.Resource{schema}
	if len(t.Agents) > 0 {
		grants, defaults = append(grants, policy.OnAgents()...), append(defaults, policy.AgentDefaults()...)
	}
	if t.config.Isolation == config.IsolationDatabase {
		if after, err = t.newAccess(ctx, after); err != nil {
			return err
		}
	}
	if after, err = newGrants(ctx, withSchema, grants, after); err != nil {
		return err
	}
	if t.config.Adopt {
		// What is there already has no default privileges, and neither the owner of its schema nor
		// PUBLIC can be relied on. Without adopt it all stays as it is then.
		first, _ := policy.OnAdopted()
		if after, err = newGrants(ctx, t.in.with(pulumi.RetainOnDelete(true)), first, after); err != nil {
			return err
		}
	}
	t.privileges, err = newDefaultPrivileges(ctx, withSchema, defaults, after)
	return err
}

// newAdoptions registers what the app may do in adopted schemas, where its default privileges did not
// hold. These grants come after all other privileges, and one after the other. For them the provider
// locks the app and then its members, the admin among them. For default privileges it locks the admin
// and then the user that it connects as. The two would deadlock, as in afterLogins.
func newAdoptions(ctx *pulumi.Context, tenants map[string]*Tenant) (err error) {
	var after []pulumi.Resource
	keys := slices.Sorted(maps.Keys(tenants))
	for _, key := range keys {
		after = append(after, tenants[key].privileges...)
	}
	_, grants := policy.OnAdopted()
	for _, key := range keys {
		t := tenants[key]
		if !t.config.Adopt || t.config.Retire != config.NotRetired {
			continue
		}
		if after, err = newGrants(ctx, t.in.with(pulumi.RetainOnDelete(true)), grants, after); err != nil {
			return fmt.Errorf("tenant %s: %w", key, err)
		}
	}
	return nil
}
