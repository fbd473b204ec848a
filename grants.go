package main

import (
	"slices"

	"github.com/pulumi/pulumi-postgresql/sdk/v3/go/postgresql"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"tenant-permissions/internal/policy"
)

// roleNames are the names in PostgreSQL of the policy's roles.
type roleNames map[policy.Role]pulumi.StringInput

// of are the names of roles.
func (names roleNames) of(roles []policy.Role) (all pulumi.StringArray) {
	for _, role := range roles {
		all = append(all, names[role])
	}
	return all
}

// scope is where grants hold, and what their resources have in common.
type scope struct {
	// prefix and suffix are around the logical names of the policy.
	prefix, suffix string
	database       pulumi.StringInput
	schema         pulumi.StringPtrInput // nil for all schemas
	names          roleNames
	opts           []pulumi.ResourceOption
}

// with is the scope with further options.
func (s scope) with(opts ...pulumi.ResourceOption) scope {
	s.opts = append(slices.Clone(s.opts), opts...)
	return s
}

// afterLogins makes privileges come after the logins, and go before them. For privileges the provider
// locks the role or the owner and then its members, and for a login this login and its members. From
// PostgreSQL 16 on the user that it connects as is a member of all, so the two would deadlock. Each
// resource needs the option: for deletes, Pulumi looks at direct dependencies only.
func afterLogins(logins ...[]pulumi.Resource) pulumi.ResourceOption {
	return pulumi.DependsOn(slices.Concat(logins...))
}

// options are those of each resource. By default Pulumi replaces by create first, delete second, and
// the delete would revoke what was just granted.
func (s scope) options(more ...pulumi.ResourceOption) []pulumi.ResourceOption {
	return append(s.with(more...).opts, pulumi.DeleteBeforeReplace(true))
}

// newGrants registers what roles hold on objects that exist. Each resource depends on the one before
// it, the first on after: parallel grants on one object fail with `tuple concurrently updated`. The
// last is returned, or after if there is none.
func newGrants(ctx *pulumi.Context, s scope, grants []policy.Grant, after []pulumi.Resource) ([]pulumi.Resource, error) {
	for _, grant := range grants {
		objectType := string(grant.On)
		if grant.On == policy.Function {
			// GRANT ON ALL FUNCTIONS leaves procedures out. ALTER DEFAULT PRIVILEGES has no such difference.
			objectType = "routine"
		}
		resource, err := postgresql.NewGrant(ctx, s.prefix+grant.Resource+s.suffix, &postgresql.GrantArgs{
			Database:   s.database,
			Schema:     s.schema,
			ObjectType: pulumi.String(objectType),
			Role:       s.names[grant.Role],
			Privileges: pulumi.ToStringArray(grant.Privileges),
		}, s.options(pulumi.DependsOn(after))...)
		if err != nil {
			return nil, err
		}
		after = []pulumi.Resource{resource}
	}
	return after, nil
}

// newDefaultPrivileges registers what roles will hold on what the admin creates, as newGrants does for
// objects that exist.
func newDefaultPrivileges(ctx *pulumi.Context, s scope, grants []policy.Grant, after []pulumi.Resource) ([]pulumi.Resource, error) {
	for _, grant := range grants {
		resource, err := postgresql.NewDefaultPrivileges(ctx, s.prefix+grant.Resource+s.suffix, &postgresql.DefaultPrivilegesArgs{
			Database:   s.database,
			Schema:     s.schema,
			Owner:      s.names[policy.Admin],
			ObjectType: pulumi.String(grant.On),
			Role:       s.names[grant.Role],
			Privileges: pulumi.ToStringArray(grant.Privileges),
		}, s.options(pulumi.DependsOn(after))...)
		if err != nil {
			return nil, err
		}
		after = []pulumi.Resource{resource}
	}
	return after, nil
}

// newMemberships registers the memberships that are resources of their own, and returns them.
func newMemberships(ctx *pulumi.Context, s scope, memberships []policy.Membership) (all []pulumi.Resource, err error) {
	for _, membership := range memberships {
		if membership.Resource == "" {
			continue // the Role of the member lists it
		}
		resource, err := postgresql.NewGrantRole(ctx, s.prefix+membership.Resource+s.suffix, &postgresql.GrantRoleArgs{
			Role:            s.names[membership.Member],
			GrantRole:       s.names[membership.Of],
			WithAdminOption: pulumi.Bool(membership.AdminOption),
		}, s.options()...)
		if err != nil {
			return nil, err
		}
		all = append(all, resource)
	}
	return all, nil
}
