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
	// Login is not among the component's outputs: the state holds its passwords once.
	Login *Login
	// Agents are the tenant's read-only logins by key, and AgentsRole is the name of their group role.
	Agents     map[string]*Login
	AgentsRole pulumi.StringOutput
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
	return tenants, newAdoptions(ctx, cfg, shared, tenants)
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
	schema, err := tenant.newSchema(ctx, key, cfg, shared)
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
		Roles:       shared.Names.memberOf(policy.Tenant),
		SearchPaths: shared.searchPath(cfg.Tenants[key].Schema),
	}, pulumi.Parent(tenant), pulumi.DependsOn(shared.Ready))
	if err != nil {
		return err
	}
	tenant.roles = tenant.Login.Roles
	// Dropping the role ends its memberships. An explicit REVOKE before that fails on PostgreSQL 16+
	// (dependent privileges exist) once the admin has granted the tenant's role to somebody.
	withRole := tenant.scope(key, cfg, shared).with(pulumi.DeletedWith(tenant.Login.Roles[0]))
	_, err = newMemberships(ctx, withRole, policy.TenantMemberships())
	return err
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
	names := tenant.scope(key, cfg, shared).names
	roles := []pulumi.Resource{group}
	for _, agent := range slices.Sorted(maps.Keys(agents)) {
		path := config.Join("tenants."+key+".agents", agent) + ".name"
		login, err := newLogin(ctx, key+"-agent-"+agent, path, agents[agent], postgresql.RoleArgs{
			Roles:       names.memberOf(policy.Agent),
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

// newSchema registers the tenant's schema. It goes before the roles, of which one cannot be dropped
// while it has privileges in it, and none is to go if the schema stays. With data in it, it does
// not go at all: PostgreSQL refuses, unless the tenant was retired for that.
//
// The provider takes over an existing schema without a word, whoever it belongs to, even another
// stack. It never does so with a role. So where the tenant's role has not the schema's name, an
// empty role takes it: of two tenants with one schema the second fails, and nothing is touched.
func (tenant *Tenant) newSchema(ctx *pulumi.Context, key string, cfg config.Config, shared *SharedRoles) (*postgresql.Schema, error) {
	drop, name := cfg.Tenants[key].Retire == config.RetireDrop, cfg.Tenants[key].Schema
	after := tenant.roles
	if name != cfg.Tenants[key].Login.Name {
		claim, err := newGroupRole(ctx, key+"-schema-claim", name, pulumi.Parent(tenant), pulumi.DependsOn(shared.Ready))
		if err != nil {
			return nil, err
		}
		after = append(slices.Clone(after), claim)
	}
	schema, err := postgresql.NewSchema(ctx, key+"-schema", &postgresql.SchemaArgs{
		Name:        pulumi.String(name),
		Database:    pulumi.String(cfg.Database),
		Owner:       shared.Names[policy.Admin],
		DropCascade: pulumi.Bool(drop),
	}, pulumi.Parent(tenant), pulumi.DependsOn(after), keepName(), pulumi.Protect(cfg.ProtectTenants && !drop))
	if err != nil {
		return nil, err
	}
	tenant.SchemaName = unchanged("tenants."+key+".schema", name, schema.Name)
	return schema, nil
}

// newPrivileges registers what the tenant may do in its schema. It owns nothing. The admin owns the
// schema and what is in it, so the tenant's code, which may be SQL written by a model, can neither
// drop nor alter nor grant what it works with.
func (tenant *Tenant) newPrivileges(ctx *pulumi.Context, key string, cfg config.Config, shared *SharedRoles, schema *postgresql.Schema) error {
	in := tenant.scope(key, cfg, shared)
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
func newAdoptions(ctx *pulumi.Context, cfg config.Config, shared *SharedRoles, tenants map[string]*Tenant) (err error) {
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
		in := tenants[key].scope(key, cfg, shared).with(pulumi.RetainOnDelete(true))
		if after, err = newGrants(ctx, in, last, after); err != nil {
			return fmt.Errorf("tenant %s: %w", key, err)
		}
	}
	return nil
}

// scope is where the tenant's privileges hold: in its schema.
func (tenant *Tenant) scope(key string, cfg config.Config, shared *SharedRoles) scope {
	names := maps.Clone(shared.Names)
	names[policy.Tenant] = tenant.Login.Name
	if tenant.AgentsRole.OutputState != nil {
		names[policy.Agents] = tenant.AgentsRole
	}
	return scope{
		prefix: key + "-", database: cfg.Database, schema: tenant.SchemaName, names: names,
		opts: []pulumi.ResourceOption{pulumi.Parent(tenant)},
	}
}
