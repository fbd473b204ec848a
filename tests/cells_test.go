package tests

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
)

// cell is a stack of tenants that has its shared roles from the platform p.
func (p *platform) cell(t *testing.T, name string, on *platform) *platform {
	t.Helper()
	cell := p.beside(t, name, on)
	cell.settings = map[string]config.Value{"platform": config.NewValue("organization/tenant-permissions/" + on.stack.Name())}
	return cell
}

// Cells give their tenants what one stack would have given them, and no cell can take what is
// another's.
func TestCells(t *testing.T) {
	modes(t, func(t *testing.T, p *platform) {
		p.configure(t, object{"hooli": object{}}, object{}, object{"analyst": object{}})
		p.up(t)
		one, two := p.cell(t, "one", p), p.cell(t, "two", p)
		tenants := object{"acme": object{}, "globex": object{"schema": "globex_data"}}
		one.configure(t, tenants, nil)
		two.configure(t, object{"initech": object{"logins": object{"active": "a"}}}, nil)
		done := make(chan error)
		for _, cell := range []*platform{one, two} {
			go func() {
				_, err := cell.tryUp(t)
				done <- err
			}()
		}
		if err := errors.Join(<-done, <-done); err != nil {
			t.Fatal(err)
		}
		for _, stack := range []*platform{p, one, two} {
			stack.clean(t)
		}

		t.Run("same rights as in one stack", func(t *testing.T) {
			whole := newPlatform(t, p.user == p.server.User)
			all := maps.Clone(tenants)
			maps.Copy(all, object{"hooli": object{}, "initech": object{"logins": object{"active": "a"}}})
			whole.configure(t, all, object{}, object{"analyst": object{}})
			whole.up(t)
			sameRights(t, whole.catalog(t), p.catalog(t))
		})
		t.Run("same outputs as the platform", func(t *testing.T) {
			of := func(stack *platform) []string {
				outputs := stack.outputs(t)
				return slices.Sorted(maps.Keys(outputs))
			}
			if platform, cell := of(p), of(one); !slices.Equal(platform, cell) {
				t.Errorf("the platform has %v, a cell %v", platform, cell)
			}
			for login := range one.passwords(t) {
				if !strings.HasPrefix(login, "tenant_") {
					t.Errorf("a cell tells the password of %s", login)
				}
			}
		})
		t.Run("tenants of two cells are apart", func(t *testing.T) {
			admin := p.login(t, "admin_service_login")
			makeTables(t, admin, "tenant_acme")
			one.login(t, "tenant_acme").may(t, "INSERT INTO docs (body) VALUES ('x')")
			for _, other := range []*session{two.login(t, "tenant_initech_a"), one.login(t, "tenant_globex"), p.login(t, "tenant_hooli")} {
				other.mayNot(t, insufficientPrivilege, "SELECT * FROM tenant_acme.docs", "SET ROLE tenant_acme")
			}
			p.login(t, "analyst").may(t, "SELECT * FROM tenant_acme.docs")
		})
		t.Run("a cell takes nothing of another", func(t *testing.T) {
			before := p.catalog(t)
			for want, tenant := range map[string]object{
				`tenants.new.role: "tenant_hooli" is already taken`:   {"role": "tenant_hooli"},
				`tenants.new.schema: "tenant_hooli" is already taken`: {"schema": "tenant_hooli"},
				`tenants.new.role: "all_tenants" is already taken`:    {"role": "all_tenants"},
			} {
				// Known from the outputs of the platform: not even a preview gets through.
				two.configure(t, object{"initech": object{"logins": object{"active": "a"}}, "new": tenant}, nil)
				if _, err := two.run(t, "preview"); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got error %v, want %s", err, want)
				}
			}
			for want, tenant := range map[string]object{
				`role "tenant_acme" already exists`:   {"role": "tenant_acme"},
				`role "globex_data" already exists`:   {"schema": "globex_data"},
				`role "tenant_globex" already exists`: {"schema": "tenant_globex"},
			} {
				// Not known before: the server refuses, and nothing of the other cell is touched.
				two.configure(t, object{"initech": object{"logins": object{"active": "a"}}, "new": tenant}, nil)
				if _, err := two.tryUp(t); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got error %v, want %s", err, want)
				}
				noneOnlyIn(t, "no longer", before, p.catalog(t))
				two.settings["protectTenants"] = config.NewTypedValue("false", config.TypeBool)
				two.configure(t, object{"initech": object{"logins": object{"active": "a"}}}, nil)
				two.up(t)
				sameFacts(t, before, p.catalog(t))
			}
			for _, stack := range []*platform{p, one, two} {
				stack.clean(t)
			}
		})
		t.Run("roles belong to the platform", func(t *testing.T) {
			one.configure(t, tenants, object{"app": object{}})
			if _, err := one.run(t, "preview"); err == nil || !strings.Contains(err.Error(), "belongs in the config of the platform") {
				t.Errorf("got error %v", err)
			}
			one.configure(t, tenants, nil)
		})
		t.Run("a tenant moves to another cell", func(t *testing.T) {
			before, password := p.catalog(t), one.passwords(t)["tenant_globex"]
			p.moveTenant(t, "globex", "one", "two")
			one.configure(t, object{"acme": object{}}, nil)
			two.configure(t, object{"initech": object{"logins": object{"active": "a"}}, "globex": tenants["globex"]}, nil)
			unchanged(t, one.up(t))
			unchanged(t, two.up(t))
			two.clean(t)
			sameFacts(t, before, p.catalog(t))
			if two.passwords(t)["tenant_globex"] != password {
				t.Error("the password is another one")
			}
			two.login(t, "tenant_globex").may(t, "SELECT 1")
		})
	})
}

// moveTenant takes a tenant from one stack's state to another's, and touches no server.
func (p *platform) moveTenant(t *testing.T, key, from, to string) {
	t.Helper()
	p.pulumi(t, "state", "move", "--yes", "--source", from, "--dest", to,
		"urn:pulumi:"+from+"::tenant-permissions::tenant-permissions:index:Tenant::"+key)
}

// A tenant moves to a cell on another server and keeps its password, by the steps of the README.
func TestMoveToAnotherServer(t *testing.T) {
	modes(t, func(t *testing.T, near *platform) {
		near.configure(t, object{}, object{})
		near.up(t)
		source := near.cell(t, "near-cell", near)
		source.configure(t, object{"acme": object{}, "globex": object{}}, nil)
		source.up(t)
		password := source.passwords(t)["tenant_acme"]
		makeTables(t, near.login(t, "admin_service_login"), "tenant_acme")

		other := newPlatform(t, near.user == near.server.User)
		far := near.beside(t, "far", other)
		far.configure(t, object{}, object{})
		far.up(t)
		target := near.cell(t, "far-cell", far)
		target.configure(t, object{}, nil)
		target.up(t)

		source.configure(t, object{"acme": object{"retire": "keep"}, "globex": object{}}, nil)
		source.up(t)
		near.moveTenant(t, "acme", "near-cell", "far-cell")
		target.configure(t, object{"acme": object{}}, nil)
		// Refresh finds nothing of the tenant on this server but its password, which is on none.
		target.refresh(t)
		target.up(t)
		target.clean(t)
		if target.passwords(t)["tenant_acme"] != password {
			t.Error("the password is another one")
		}
		makeTables(t, far.login(t, "admin_service_login"), "tenant_acme")
		target.login(t, "tenant_acme").may(t, "INSERT INTO docs (body) VALUES ('x')")

		source.refuseLogin(t, "tenant_acme", password, loginNotPermitted)
		source.configure(t, object{"globex": object{}}, nil)
		unchanged(t, source.up(t))
		near.login(t, "admin_service_login").may(t, "DROP SCHEMA tenant_acme CASCADE")
		deployer, err := near.connect(t, near.user, near.password)
		if err != nil {
			t.Fatal(err)
		}
		deployer.may(t, "DROP ROLE tenant_acme")
		source.clean(t)
		for _, fact := range near.catalog(t) {
			if strings.Contains(fact, "acme") {
				t.Errorf("left behind: %s", fact)
			}
		}
		target.login(t, "tenant_acme").may(t, "SELECT * FROM docs")
	})
}
