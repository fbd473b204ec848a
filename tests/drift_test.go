package tests

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// drift is something that was changed on the server behind Pulumi's back.
type drift struct {
	name   string
	breaks []string
	// steps are what a preview with refresh wants to do about it: by resource, the operation and
	// the properties that it is for.
	steps map[string]string
	// byHand is the SQL for what Pulumi does not repair.
	byHand []string
	// noAccess is true for what gives nobody anything, so that the audit finds no violation in it, and
	// noted what it notes all the same.
	noAccess bool
	noted    []string
}

// ofAdmin begins a change of the default privileges of what the admin creates.
const ofAdmin = "ALTER DEFAULT PRIVILEGES FOR ROLE admin_service_role "

// seenDrift is what `up --refresh` repairs, all of it in one run. A tenant's row breaks resources
// that no other row breaks. PROVIDER is whom the provider connects as: PostgreSQL 16 and later
// keep memberships apart by who granted them.
var seenDrift = []drift{
	{
		name: "attributes of a tenant's role",
		breaks: []string{
			"ALTER ROLE initech_login CONNECTION LIMIT 1 NOLOGIN CREATEDB VALID UNTIL '2000-01-01'",
			"ALTER ROLE initech_login SET search_path = public",
			"ALTER ROLE initech_login SET statement_timeout = 5000",
		},
		steps: map[string]string{"initech-role": "update connectionLimit createDatabase login searchPaths statementTimeout validUntil"},
	},
	{
		name:   "admin option on a tenant lost",
		breaks: []string{"REVOKE ADMIN OPTION FOR initech_login FROM all_tenants_admin GRANTED BY PROVIDER"},
		steps:  map[string]string{"initech-grant-role": "replace withAdminOption"},
	},
	{
		name:   "a tenant no longer among all tenants",
		breaks: []string{"REVOKE all_tenants FROM tenant_acme GRANTED BY PROVIDER"},
		steps:  map[string]string{"acme-role": "update roles"},
	},
	{
		name:   "a tenant no longer the admin's to hand on",
		breaks: []string{"REVOKE tenant_acme FROM all_tenants_admin GRANTED BY PROVIDER"},
		steps:  map[string]string{"acme-grant-role": "create"},
	},
	{
		name:   "a tenant locked out of its schema",
		breaks: []string{"REVOKE USAGE ON SCHEMA tenant_acme FROM tenant_acme"},
		steps:  map[string]string{"acme-usage": "update privileges"},
	},
	{
		name: "default privileges of a tenant lost",
		breaks: []string{
			ofAdmin + "IN SCHEMA tenant_acme REVOKE ALL ON TABLES FROM tenant_acme",
			ofAdmin + "IN SCHEMA tenant_acme REVOKE ALL ON SEQUENCES FROM tenant_acme",
		},
		steps: map[string]string{"acme-tables": "create", "acme-sequences": "create"},
	},
	{
		name:   "a tenant reads every other",
		breaks: []string{"GRANT app_service_role TO tenant_globex GRANTED BY PROVIDER"},
		steps:  map[string]string{"globex-role": "update roles"},
	},
	{
		name:   "a tenant creates in its schema",
		breaks: []string{"GRANT CREATE ON SCHEMA tenant_globex TO tenant_globex"},
		steps:  map[string]string{"globex-usage": "update privileges"},
	},
	{
		name: "default privileges of a tenant extended",
		breaks: []string{
			ofAdmin + "IN SCHEMA tenant_globex GRANT TRUNCATE ON TABLES TO tenant_globex",
			ofAdmin + "IN SCHEMA tenant_globex GRANT UPDATE ON SEQUENCES TO tenant_globex",
		},
		steps: map[string]string{"globex-tables": "update privileges", "globex-sequences": "update privileges"},
	},
	{
		name:   "a tenant's role dropped",
		breaks: []string{"DROP OWNED BY tenant_roleless", "DROP ROLE tenant_roleless"},
		steps: map[string]string{
			"roleless-role": "create", "roleless-grant-role": "create", "roleless-usage": "create",
			"roleless-tables": "create", "roleless-sequences": "create",
		},
		// The new role has its default privileges back, which are for new tables only.
		byHand: []string{
			"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA tenant_roleless TO tenant_roleless",
			"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA tenant_roleless TO tenant_roleless",
		},
	},
	{
		name:   "a tenant's schema dropped",
		breaks: []string{"DROP SCHEMA tenant_homeless"},
		steps: map[string]string{
			"homeless-schema": "create", "homeless-usage": "create",
			"homeless-tables": "create", "homeless-sequences": "create",
		},
	},
	{
		name:   "the app acts as another role",
		breaks: []string{"ALTER ROLE app_service_role SET role = all_tenants"},
		steps:  map[string]string{"app-service-role": "update assumeRole"},
	},
	{
		name:   "a group role logs in",
		breaks: []string{"ALTER ROLE all_tenants LOGIN"},
		steps:  map[string]string{"all-tenants": "update login"},
	},
	{
		name:   "the admin's login is no admin",
		breaks: []string{"REVOKE admin_service_role FROM admin_service_login GRANTED BY PROVIDER"},
		steps:  map[string]string{"admin-login-role": "update roles"},
	},
	{
		name:   "admin option on the app lost",
		breaks: []string{"REVOKE ADMIN OPTION FOR app_service_role FROM admin_service_role GRANTED BY PROVIDER"},
		steps:  map[string]string{"grant-role-to-admin": "replace withAdminOption"},
	},
	{
		name:   "the admin cannot hand on tenants",
		breaks: []string{"REVOKE all_tenants_admin FROM admin_service_role GRANTED BY PROVIDER"},
		steps:  map[string]string{"grant-all-tenants-admin-to-admin": "create"},
	},
	{
		name: "the app's default privileges lost",
		breaks: []string{
			ofAdmin + "REVOKE ALL ON SCHEMAS FROM app_service_role",
			ofAdmin + "REVOKE ALL ON TABLES FROM app_service_role",
			ofAdmin + "REVOKE ALL ON SEQUENCES FROM app_service_role",
		},
		steps: map[string]string{"default-schemas": "create", "default-tables": "create", "default-sequences": "create"},
	},
	{
		name: "the database open to PUBLIC",
		breaks: []string{
			"GRANT CONNECT ON DATABASE " + database + " TO PUBLIC",
			"GRANT USAGE, CREATE ON SCHEMA public TO PUBLIC",
		},
		steps: map[string]string{"public-on-database": "update privileges", "public-on-schema-public": "update privileges"},
	},
	{
		name:   "the database closed to everybody",
		breaks: []string{"REVOKE CONNECT ON DATABASE " + database + " FROM app_service_role, admin_service_role, all_tenants"},
		steps: map[string]string{
			"app-on-database": "update privileges", "admin-on-database": "update privileges",
			"all-tenants-on-database": "update privileges",
		},
	},
}

// unseenDrift is what no refresh sees: what belongs to no resource, and what the provider does
// not look at.
var unseenDrift = []drift{
	{
		name:   "everybody runs the admin's functions",
		breaks: []string{ofAdmin + "GRANT EXECUTE ON FUNCTIONS TO PUBLIC"},
		byHand: []string{ofAdmin + "REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC"},
	},
	{
		// The program ignores the memberships of roles that GrantRole adds to.
		name:   "the admin in a further role",
		breaks: []string{"GRANT stranger TO admin_service_role, all_tenants_admin"},
		byHand: []string{"REVOKE stranger FROM admin_service_role, all_tenants_admin"},
	},
	{
		name:   "a stranger among all tenants, with a tenant's rights",
		breaks: []string{"GRANT all_tenants, tenant_acme TO intruder"},
		byHand: []string{"REVOKE all_tenants, tenant_acme FROM intruder"},
	},
	{
		name:   "a tenant in another's schema",
		breaks: []string{"GRANT USAGE ON SCHEMA tenant_acme TO tenant_globex"},
		byHand: []string{"REVOKE USAGE ON SCHEMA tenant_acme FROM tenant_globex"},
	},
	{
		name:   "a tenant reads another's table",
		breaks: []string{"GRANT SELECT ON tenant_acme.docs TO tenant_globex"},
		byHand: []string{"REVOKE SELECT ON tenant_acme.docs FROM tenant_globex"},
	},
	{
		name:   "a tenant reads another's future tables",
		breaks: []string{ofAdmin + "IN SCHEMA tenant_acme GRANT SELECT ON TABLES TO tenant_globex"},
		byHand: []string{ofAdmin + "IN SCHEMA tenant_acme REVOKE SELECT ON TABLES FROM tenant_globex"},
	},
	{
		name:   "a tenant cannot read its own table",
		breaks: []string{"REVOKE SELECT ON tenant_acme.docs FROM tenant_acme"},
		byHand: []string{"GRANT SELECT ON tenant_acme.docs TO tenant_acme"},
	},
	{
		name:   "a tenant hands its schema on",
		breaks: []string{"GRANT USAGE ON SCHEMA tenant_acme TO tenant_acme WITH GRANT OPTION"},
		byHand: []string{"REVOKE GRANT OPTION FOR USAGE ON SCHEMA tenant_acme FROM tenant_acme"},
	},
	{
		name:   "the app writes",
		breaks: []string{"GRANT INSERT ON tenant_acme.docs TO app_service_role"},
		byHand: []string{"REVOKE INSERT ON tenant_acme.docs FROM app_service_role"},
	},
	{
		name:   "the app locked out of a schema",
		breaks: []string{"REVOKE USAGE ON SCHEMA initech FROM app_service_role"},
		byHand: []string{
			// In the order of before, which an ACL keeps.
			"REVOKE USAGE ON SCHEMA initech FROM initech_login",
			"GRANT USAGE ON SCHEMA initech TO app_service_role, initech_login",
		},
	},
	{
		name:   "a table of somebody else's",
		breaks: []string{"CREATE TABLE tenant_acme.theirs (id int)", "ALTER TABLE tenant_acme.notes OWNER TO tenant_acme"},
		byHand: []string{
			"DROP TABLE tenant_acme.theirs",
			"ALTER TABLE tenant_acme.notes OWNER TO admin_service_role",
			// The owner's privileges have gone to the new owner, the tenant's own among them.
			"GRANT SELECT, INSERT, UPDATE, DELETE ON tenant_acme.notes TO tenant_acme",
			"GRANT USAGE, SELECT ON tenant_acme.notes_id_seq TO tenant_acme",
		},
	},
	{
		name: "a tenant in the schema public and creating schemas",
		breaks: []string{
			"GRANT USAGE, CREATE ON SCHEMA public TO tenant_acme",
			"GRANT CREATE ON DATABASE " + database + " TO tenant_acme",
		},
		byHand: []string{
			"REVOKE USAGE, CREATE ON SCHEMA public FROM tenant_acme",
			"REVOKE CREATE ON DATABASE " + database + " FROM tenant_acme",
		},
	},
	{
		name: "further settings of a tenant's role",
		breaks: []string{
			"ALTER ROLE tenant_acme SET work_mem = '1GB'",
			"ALTER ROLE tenant_acme IN DATABASE " + database + " SET search_path = public",
		},
		byHand: []string{
			"ALTER ROLE tenant_acme RESET work_mem",
			"ALTER ROLE tenant_acme IN DATABASE " + database + " RESET search_path",
		},
		noAccess: true,
		noted:    []string{"setting|acme|tenant_acme|search_path", "setting|acme|tenant_acme|work_mem"},
	},
}

// What is changed behind Pulumi's back is repaired by one `up --refresh`, or is named here and seen by
// the audit.
func TestDrift(t *testing.T) {
	modes(t, func(t *testing.T, p *platform) {
		tenants := object{"homeless": object{}, "owned": object{}, "rekeyed": object{}, "roleless": object{}}
		maps.Copy(tenants, threeTenants)
		p.configure(t, tenants, object{})
		p.up(t)
		admin := p.login(t, "admin_service_login")
		makeTables(t, admin, "tenant_acme")
		makeTables(t, admin, "tenant_roleless")
		super := p.superuser(t, database)
		super.may(t, "CREATE ROLE stranger", "CREATE ROLE intruder")
		superuser := p.user == p.server.User
		before := p.catalog(t)

		// Only a superuser can read what is stored of a password.
		const stored = "SELECT rolpassword FROM pg_authid WHERE rolname = 'tenant_rekeyed'"
		deployed := super.value(t, stored)
		rekeyed := drift{name: "a tenant's password", breaks: []string{"ALTER ROLE tenant_rekeyed PASSWORD 'theirs'"}}
		seen, unseen := slices.Clone(seenDrift), slices.Clone(unseenDrift)
		if superuser {
			rekeyed.steps = map[string]string{"rekeyed-role": "update password"}
			seen = append(seen, rekeyed)
		} else {
			rekeyed.byHand, rekeyed.noAccess = []string{"ALTER ROLE tenant_rekeyed PASSWORD '" + deployed + "'"}, true
			unseen = append(unseen, rekeyed)
		}

		t.Run("unseen", func(t *testing.T) {
			for _, d := range unseen {
				super.may(t, d.breaks...)
			}
			p.wants(t, nil)
			for _, d := range unseen {
				super.may(t, d.byHand...)
			}
			sameFacts(t, before, p.catalog(t))
			audit := newAuditor(t, p)
			_, always := audit.findings(t)
			for _, d := range unseen {
				super.may(t, d.breaks...)
				found, notes := audit.findings(t)
				if (len(found) == 0) != d.noAccess {
					t.Errorf("%s: the audit finds %v", d.name, found)
				}
				notes = slices.DeleteFunc(notes, func(note finding) bool { return slices.Contains(always, note) })
				if d.noAccess && !slices.Equal(names(notes), d.noted) {
					t.Errorf("%s: the audit notes %v", d.name, notes)
				}
				super.may(t, d.byHand...)
			}
			if found := audit.violations(t); len(found) > 0 {
				t.Errorf("the audit still finds %v", found)
			}
			super.may(t, "DROP OWNED BY auditor", "DROP ROLE auditor")
			sameFacts(t, before, p.catalog(t))
		})
		t.Run("seen", func(t *testing.T) {
			steps := map[string]string{}
			for _, d := range seen {
				for _, sql := range d.breaks {
					super.may(t, strings.ReplaceAll(sql, "PROVIDER", p.user))
				}
				maps.Copy(steps, d.steps)
			}
			p.wants(t, steps)
			if err := p.repair(t); err != nil {
				t.Error(err)
			}
			p.login(t, "tenant_roleless").mayNot(t, insufficientPrivilege, "SELECT * FROM docs")
			for _, d := range seen {
				super.may(t, d.byHand...)
			}
			sameFacts(t, before, p.catalog(t))
			p.clean(t)
		})
		if super.value(t, stored) != deployed {
			t.Error("a tenant's password is another than before")
		}
		t.Run("what may take a superuser", func(t *testing.T) {
			super.may(t, "ALTER SCHEMA tenant_owned OWNER TO tenant_owned", "GRANT app_service_role TO tenant_owned")
			p.wants(t, map[string]string{
				"owned-schema": "update owner", "owned-usage": "update privileges", "owned-role": "update roles",
			})
			err := p.repair(t)
			if !superuser {
				// The provider does not act as the schema's owner in order to change it.
				if err == nil || !strings.Contains(err.Error(), "must be owner of schema tenant_owned") {
					t.Errorf("got error %v", err)
				}
				super.may(t, "ALTER SCHEMA tenant_owned OWNER TO admin_service_role")
				err = p.repair(t)
			}
			if err != nil {
				t.Error(err)
			}
			// From PostgreSQL 16 on the provider's REVOKE covers only what its own user granted: of a
			// membership that somebody else granted there is a warning, and the run succeeds.
			if !superuser && p.major != "14" && p.major != "15" {
				p.wants(t, map[string]string{"owned-role": "update roles"})
				super.may(t, "REVOKE app_service_role FROM tenant_owned")
			}
			sameFacts(t, before, p.catalog(t))
		})
		// Any update would cost these roles their memberships, so it is refused.
		for setting, change := range map[string][2]string{
			"roles.admin.createRole cannot change after deployment: deployed false, configured true":          {"admin_service_role NOCREATEROLE", "admin_service_role CREATEROLE"},
			"roles.admin.login cannot change after deployment: deployed true, configured false":               {"admin_service_role LOGIN", "admin_service_role NOLOGIN"},
			"roles.allTenantsAdmin.inherit cannot change after deployment: deployed true, configured false":   {"all_tenants_admin INHERIT", "all_tenants_admin NOINHERIT"},
			"roles.allTenantsAdmin.superuser cannot change after deployment: deployed true, configured false": {"all_tenants_admin SUPERUSER", "all_tenants_admin NOSUPERUSER"},
		} {
			t.Run(setting, func(t *testing.T) {
				super.may(t, "ALTER ROLE "+change[0])
				_, err := p.steps(t)
				for _, err := range []error{err, p.repair(t)} {
					if err == nil || !strings.Contains(err.Error(), setting) {
						t.Errorf("got error %v", err)
					}
				}
				super.may(t, "ALTER ROLE "+change[1])
				sameFacts(t, before, p.catalog(t))
			})
		}
		p.clean(t)
	})
}

// wants fails unless these are the steps of a preview with refresh.
func (p *platform) wants(t *testing.T, want map[string]string) {
	t.Helper()
	got, err := p.steps(t)
	if (err == nil) != (len(got) == 0) {
		t.Errorf("a preview that expects no changes: got error %v for the steps %v", err, got)
	}
	for resource, step := range got {
		if want[resource] != step {
			t.Errorf("%s: got %q, want %q", resource, step, want[resource])
		}
	}
	for resource, step := range want {
		if got[resource] == "" {
			t.Errorf("%s: got nothing, want %q", resource, step)
		}
	}
}

// steps are what a preview with refresh wants to do, in the spelling of [drift.steps]. It expects
// no changes.
func (p *platform) steps(t *testing.T) (map[string]string, error) {
	t.Helper()
	events, err := p.run(t, "preview", "--refresh", "--expect-no-changes")
	steps := map[string]string{}
	for _, event := range events {
		if event.ResourcePreEvent == nil {
			continue
		}
		step := event.ResourcePreEvent.Metadata
		if slices.Contains([]apitype.OpType{apitype.OpCreate, apitype.OpUpdate, apitype.OpReplace, apitype.OpDelete}, step.Op) {
			name := step.URN[strings.LastIndex(step.URN, ":")+1:]
			steps[name] = strings.Join(append([]string{string(step.Op)}, slices.Sorted(slices.Values(step.Diffs))...), " ")
		}
	}
	return steps, err
}
