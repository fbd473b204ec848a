package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi-postgresql/sdk/v3/go/postgresql"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"tenant-permissions/internal/config"
	"tenant-permissions/internal/policy"
)

// Tenant is one tenant's login role and schema, and the privileges that tie the two together.
type Tenant struct {
	pulumi.ResourceState

	SchemaName pulumi.StringOutput
	// Database is the name of the database that the schema is in.
	Database pulumi.StringOutput
	// Login is not among the component's outputs: the state holds its passwords once.
	Login *Login
	// Agents are the tenant's read-only logins by key, and AgentsRole is the name of their group role.
	Agents     map[string]*Login
	AgentsRole pulumi.StringOutput
	// in is where the tenant's privileges hold: in its schema.
	in scope
	// roles are the tenant's role and its agents', with all their alternating logins.
	roles []pulumi.Resource
	// Privileges are the last of the grants in the schema, and the default privileges; a retired tenant
	// has none.
	Privileges []pulumi.Resource
}

// newTenants registers every tenant and returns them by key.
func newTenants(ctx *pulumi.Context, cfg config.Config, shared *SharedRoles) (map[string]*Tenant, error) {
	tenants := map[string]*Tenant{}
	for _, key := range slices.Sorted(maps.Keys(cfg.Tenants)) {
		tenant, err := newTenant(ctx, key, cfg, shared)
		if err != nil {
			return nil, fmt.Errorf("tenant %s: %w", key, err)
		}
		tenants[key] = tenant
	}
	return tenants, newAdoptions(ctx, cfg, tenants)
}

// newTenant registers one tenant. A retired one has its role and schema still, but cannot log in
// and has no privileges in the schema; its role cannot go before the tables it was granted.
func newTenant(ctx *pulumi.Context, key string, cfg config.Config, shared *SharedRoles) (*Tenant, error) {
	tenant := &Tenant{}
	if err := ctx.RegisterComponentResource("tenant-permissions:index:Tenant", key, tenant); err != nil {
		return nil, err
	}
	if err := tenant.newRole(ctx, key, cfg, shared); err != nil {
		return nil, err
	}
	if err := tenant.newAgents(ctx, key, cfg, shared); err != nil {
		return nil, err
	}
	if cfg.Tenants[key].Previous != config.PreviousNone {
		other, drop := config.IsolationDatabase, cfg.Tenants[key].Previous == config.PreviousDrop
		if cfg.Tenants[key].Isolation == other {
			other = config.IsolationSchema
		}
		if _, err := tenant.newSchema(ctx, key, cfg, shared, other, drop); err != nil {
			return nil, err
		}
	}
	schema, err := tenant.newSchema(ctx, key, cfg, shared, cfg.Tenants[key].Isolation, cfg.Tenants[key].Retire == config.RetireDrop)
	if err != nil {
		return nil, err
	}
	if cfg.Tenants[key].Retire == config.NotRetired {
		if err := tenant.newPrivileges(ctx, key, cfg, shared, schema); err != nil {
			return nil, err
		}
	}
	return tenant, ctx.RegisterResourceOutputs(tenant, pulumi.Map{
		"roleName":   tenant.Login.Name,
		"schemaName": tenant.SchemaName,
	})
}

// newRole registers the tenant's role, which logs in.
func (tenant *Tenant) newRole(ctx *pulumi.Context, key string, cfg config.Config, shared *SharedRoles) (err error) {
	tenant.Login, err = newLogin(ctx, key, "tenants."+key+".role", cfg.Tenants[key].Login, postgresql.RoleArgs{
		Roles:       shared.Names.of(memberOf(cfg.Tenants[key])(policy.Tenant)),
		SearchPaths: shared.searchPath(cfg.Tenants[key].Schema),
	}, pulumi.Parent(tenant), pulumi.DependsOn(shared.Ready))
	if err != nil {
		return err
	}
	tenant.roles = tenant.Login.Roles
	// Dropping the role ends its memberships. An explicit REVOKE before that fails on PostgreSQL 16+
	// (dependent privileges exist) once the admin has granted the tenant's role to somebody.
	withRole := scope{prefix: key + "-", names: tenant.names(shared), opts: []pulumi.ResourceOption{pulumi.Parent(tenant)}}
	_, err = newMemberships(ctx, withRole.with(pulumi.DeletedWith(tenant.Login.Roles[0])), policy.TenantMemberships())
	return err
}

// memberOf is the policy's rule for the memberships of a tenant and of its agents.
func memberOf(tenant config.Tenant) func(policy.Role) []policy.Role {
	if tenant.Isolation == config.IsolationDatabase {
		return policy.IsolatedMemberOf
	}
	return policy.MemberOf
}

// names are the names of the policy's roles, with those of the tenant.
func (tenant *Tenant) names(shared *SharedRoles) roleNames {
	names := maps.Clone(shared.Names)
	names[policy.Tenant] = tenant.Login.Name
	if tenant.AgentsRole.OutputState != nil {
		names[policy.Agents] = tenant.AgentsRole
	}
	return names
}

// newAgents registers the tenant's agents and their group role, which has the privileges. So the
// privileges on existing tables are granted once, with the first agent. Agents are no members of the
// tenant's role.
func (tenant *Tenant) newAgents(ctx *pulumi.Context, key string, cfg config.Config, shared *SharedRoles) error {
	agents, opts := cfg.Tenants[key].Agents, []pulumi.ResourceOption{pulumi.Parent(tenant), pulumi.DependsOn(shared.Ready)}
	if len(agents) == 0 {
		return nil
	}
	group, err := newGroupRole(ctx, key+"-agents", cfg.Tenants[key].AgentsRole, opts...)
	if err != nil {
		return err
	}
	tenant.AgentsRole, tenant.Agents = unchanged("tenants."+key+".agents", cfg.Tenants[key].AgentsRole, group.Name), map[string]*Login{}
	groups := tenant.names(shared).of(memberOf(cfg.Tenants[key])(policy.Agent))
	roles := []pulumi.Resource{group}
	for _, agent := range slices.Sorted(maps.Keys(agents)) {
		path := config.Join("tenants."+key+".agents", agent) + ".name"
		login, err := newLogin(ctx, key+"-agent-"+agent, path, agents[agent], postgresql.RoleArgs{
			Roles:       groups,
			SearchPaths: shared.searchPath(cfg.Tenants[key].Schema),
		}, opts...)
		if err != nil {
			return err
		}
		tenant.Agents[agent] = login
		roles = append(roles, login.Roles...)
	}
	tenant.roles = slices.Concat(tenant.roles, roles)
	return nil
}

// newSchema registers the tenant's schema, in a database of its own or in the stack's. It goes before
// the roles, of which one cannot be dropped while it has privileges in it, and none is to go if the
// schema stays. With data in it, it does not go at all: PostgreSQL refuses, unless drop is set.
//
// The provider takes over an existing schema without a word, whoever it belongs to, even another
// stack. It never does so with a role. So where the tenant's role has not the schema's name, an
// empty role takes it: of two tenants with one schema the second fails, and nothing is touched.
func (tenant *Tenant) newSchema(ctx *pulumi.Context, key string, cfg config.Config, shared *SharedRoles, isolation config.Isolation, drop bool) (*postgresql.Schema, error) {
	name, after := cfg.Tenants[key].Schema, tenant.roles
	tenant.in = scope{prefix: key + "-", database: pulumi.String(cfg.Database), names: tenant.names(shared), opts: []pulumi.ResourceOption{pulumi.Parent(tenant)}}
	tenant.Database = pulumi.String(cfg.Database).ToStringOutput()
	switch {
	case isolation == config.IsolationDatabase:
		var err error
		if after, err = tenant.newDatabase(ctx, key, cfg, shared, drop); err != nil {
			return nil, err
		}
	case name != cfg.Tenants[key].Login.Name:
		claim, err := newGroupRole(ctx, key+"-schema-claim", name, pulumi.Parent(tenant), pulumi.DependsOn(shared.Ready))
		if err != nil {
			return nil, err
		}
		after = append(slices.Clone(after), claim)
	}
	schema, err := postgresql.NewSchema(ctx, tenant.in.prefix+"schema", &postgresql.SchemaArgs{
		Name:        pulumi.String(name),
		Database:    tenant.in.database,
		Owner:       shared.Names[policy.Admin],
		DropCascade: pulumi.Bool(drop),
	}, tenant.in.with(pulumi.DependsOn(after), keepName(), pulumi.Protect(cfg.ProtectTenants && !drop)).opts...)
	if err != nil {
		return nil, err
	}
	tenant.SchemaName = unchanged("tenants."+key+".schema", name, schema.Name)
	tenant.in.schema = tenant.SchemaName
	return schema, nil
}

// newPrivileges registers what the tenant may do in its schema. It owns nothing. The admin owns the
// schema and what is in it, so the tenant's code, which may be SQL written by a model, can neither
// drop nor alter nor grant what it works with.
func (tenant *Tenant) newPrivileges(ctx *pulumi.Context, key string, cfg config.Config, shared *SharedRoles, schema *postgresql.Schema) error {
	in := tenant.in
	// They go with the schema. Where PostgreSQL refuses to drop it because of the data in it, the
	// tenant still has everything and can be put back.
	withSchema := in.with(pulumi.DeletedWith(schema))
	grants, defaults := policy.OnTenantSchema(), policy.TenantDefaults()
	if cfg.Tenants[key].ExecuteFunctions {
		grants, defaults = append(grants, policy.OnFunctions()...), append(defaults, policy.FunctionDefaults()...)
	}
	after := []pulumi.Resource{schema}
	if len(tenant.Agents) > 0 {
		grants, defaults = append(grants, policy.OnAgents()...), append(defaults, policy.AgentDefaults()...)
		// For a grant to their group role the provider locks all agents, and for an update of an agent
		// this one. So the grants come after the agents, and before them when both go.
		after = append(after, tenant.roles...)
	}
	if cfg.Tenants[key].Isolation == config.IsolationDatabase {
		var err error
		if after, err = tenant.newAccess(ctx, shared, after); err != nil {
			return err
		}
	}
	after, err := newGrants(ctx, withSchema, grants, after)
	if err != nil {
		return err
	}
	if cfg.Tenants[key].Adopt {
		// What is there already has no default privileges, and neither the owner of its schema nor
		// PUBLIC can be relied on. Without adopt it all stays as it is then.
		first, _ := policy.OnAdopted()
		if after, err = newGrants(ctx, in.with(pulumi.RetainOnDelete(true)), first, after); err != nil {
			return err
		}
	}
	all, err := newDefaultPrivileges(ctx, withSchema, defaults)
	tenant.Privileges = append(after, all...)
	return err
}

// newAdoptions registers what the app may do in adopted schemas, where its default privileges did not
// hold. These grants come after all other privileges, and one after the other. For a grant to the app
// the provider locks it and then its members, the admin and the user it connects as among them. For
// default privileges it locks the admin and then this user. From PostgreSQL 16 on, where the user is
// a member of every role it makes, the two would deadlock.
func newAdoptions(ctx *pulumi.Context, cfg config.Config, tenants map[string]*Tenant) (err error) {
	var after []pulumi.Resource
	keys := slices.Sorted(maps.Keys(tenants))
	for _, key := range keys {
		after = append(after, tenants[key].Privileges...)
	}
	for _, key := range keys {
		if !cfg.Tenants[key].Adopt || cfg.Tenants[key].Retire != config.NotRetired {
			continue
		}
		_, last := policy.OnAdopted()
		in := tenants[key].in.with(pulumi.RetainOnDelete(true))
		if after, err = newGrants(ctx, in, last, after); err != nil {
			return fmt.Errorf("tenant %s: %w", key, err)
		}
	}
	return nil
}
