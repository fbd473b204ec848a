package policy

import (
	"slices"
	"testing"
)

func everyGrant() []Grant {
	first, last := OnAdopted()
	first = slices.Concat(first, OnOwnDatabase(true), OnOwnExtensionSchema(true))
	return slices.Concat(OnDatabase(), OnClosedDatabases(), OnSchemaPublic(), Defaults(), OnTenantSchema(), TenantDefaults(), OnExtensionSchema(),
		OnFunctions(), FunctionDefaults(), OnAgents(), AgentDefaults(), first, last)
}

// TestWritersAreTenants: only a tenant writes, and only rows.
func TestWritersAreTenants(t *testing.T) {
	for _, grant := range everyGrant() {
		for _, privilege := range grant.Privileges {
			switch privilege {
			case "CONNECT", "USAGE", "SELECT":
			case "INSERT", "UPDATE", "DELETE", "EXECUTE":
				if grant.Role != Tenant {
					t.Errorf("%s gives %s %s", grant.Resource, grant.Role, privilege)
				}
			default:
				t.Errorf("%s gives %s: nobody but an owner has it", grant.Resource, privilege)
			}
		}
		if grant.Role == Public && len(grant.Privileges) > 0 {
			t.Errorf("%s leaves %v to everybody", grant.Resource, grant.Privileges)
		}
	}
}

// TestMembershipsDoNotLeak: no login comes by another's data, or makes others members.
func TestMembershipsDoNotLeak(t *testing.T) {
	for _, m := range slices.Concat(SharedMemberships(), TenantMemberships(), AgentMemberships()) {
		if LogsIn(m.Member) && m.AdminOption {
			t.Errorf("%s has the admin option on %s", m.Member, m.Of)
		}
		if m.Member == Tenant && m.Of != AllTenants {
			t.Errorf("a tenant is a member of %s", m.Of)
		}
		if m.Member == Agent && m.Of != AllTenants && m.Of != Agents {
			t.Errorf("an agent is a member of %s", m.Of)
		}
		if m.Of == Tenant && m.Member != AllTenantsAdmin {
			t.Errorf("%s is a member of every tenant", m.Member)
		}
	}
}

// TestOwnDatabase: a tenant with a database of its own can connect to it, and holds nothing by
// AllTenants, whose members can connect to the database that tenants share.
func TestOwnDatabase(t *testing.T) {
	for _, grant := range slices.Concat(OnTenantDatabase(), OnTenantExtensionSchema()) {
		if grant.Role == AllTenants || grant.Role == Tenant || grant.Role == Agents {
			t.Errorf("%s is a grant to %s", grant.Resource, grant.Role)
		}
	}
	if groups := IsolatedMemberOf(Tenant); len(groups) > 0 {
		t.Errorf("a tenant is a member of %v", groups)
	}
	if groups := IsolatedMemberOf(Agent); !slices.Equal(groups, []Role{Agents}) {
		t.Errorf("an agent is a member of %v", groups)
	}
	if len(OnTenantDatabase()) != len(OnDatabase())-1 || len(MemberOf(Agent)) != 2 {
		t.Error("the policy of the shared database has changed")
	}
}

// TestResourcesHaveNamesOfTheirOwn: two resources of one stack never share a logical name.
func TestResourcesHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	first, last := OnAdopted()
	first = slices.Concat(first, OnOwnDatabase(true), OnOwnExtensionSchema(true))
	for _, grant := range slices.Concat(OnDatabase(), OnSchemaPublic(), Defaults(), OnTenantSchema(), TenantDefaults(),
		OnExtensionSchema(), OnFunctions(), FunctionDefaults(), OnAgents(), AgentDefaults(), first, last) {
		if seen[grant.Resource] || grant.Resource == "" {
			t.Errorf("the name %q is taken", grant.Resource)
		}
		seen[grant.Resource] = true
	}
}

func TestSearchPath(t *testing.T) {
	for _, c := range []struct {
		extensions string
		schemas    []string
		path       []string
	}{
		{"", nil, []string{"pg_catalog"}},
		{"", []string{"acme"}, []string{"acme"}},
		{"ext", []string{"acme"}, []string{"acme", "ext"}},
		{"ext", nil, []string{"pg_catalog", "ext"}},
	} {
		if got := SearchPath(c.extensions, c.schemas...); !slices.Equal(got, c.path) {
			t.Errorf("%q, %v: got %v", c.extensions, c.schemas, got)
		}
	}
}

// TestAttributes: these roles log in, and these are the attributes that the config can give. The audit
// reports whatever is beyond.
func TestAttributes(t *testing.T) {
	for _, role := range []Role{Public, App, Reader, Admin, AdminLogin, AllTenants, AllTenantsAdmin, Tenant, Agents, Agent} {
		logsIn := role == App || role == Reader || role == AdminLogin || role == Tenant || role == Agent
		if LogsIn(role) != logsIn {
			t.Errorf("%s logs in: %t", role, !logsIn)
		}
		attributes := map[Role][]string{
			App:   {"BYPASSRLS"},
			Admin: {"SUPERUSER", "CREATEROLE", "CREATEDB", "REPLICATION", "BYPASSRLS"},
		}[role]
		if got := ConfigurableAttributes(role); !slices.Equal(got, attributes) {
			t.Errorf("the config can give %s %v, want %v", role, got, attributes)
		}
	}
}

func TestHolds(t *testing.T) {
	for _, c := range []struct {
		role  Role
		on    Kind
		holds []string
	}{
		{Tenant, Database, []string{"CONNECT"}},
		{Tenant, Schema, []string{"USAGE"}},
		{Tenant, Table, []string{"SELECT", "INSERT", "UPDATE", "DELETE"}},
		{Tenant, Sequence, []string{"USAGE", "SELECT"}},
		{Tenant, Function, nil},
		{App, Database, []string{"CONNECT"}},
		{App, Schema, []string{"USAGE"}},
		{App, Table, []string{"SELECT"}},
		{App, Sequence, []string{"SELECT"}},
		{Reader, Table, []string{"SELECT"}},
		{Agent, Database, []string{"CONNECT"}},
		{Agent, Schema, []string{"USAGE"}},
		{Agent, Table, []string{"SELECT"}},
		{Agent, Sequence, []string{"SELECT"}},
		{AllTenants, Table, nil},
		{AllTenantsAdmin, Table, nil},
		{Public, Table, nil},
	} {
		if got := Holds(c.role, c.on); !slices.Equal(got, c.holds) {
			t.Errorf("%s holds %v on a %s, want %v", c.role, got, c.on, c.holds)
		}
	}
	if got := Needs(Tenant, Table); !slices.Equal(got, []string{"SELECT"}) {
		t.Errorf("a tenant needs %v on a table", got)
	}
	if !May(Tenant, Function, "EXECUTE") || May(Public, Function, "EXECUTE") || May(App, Table, "INSERT") {
		t.Error("what a role may hold is not what the model says")
	}
}
