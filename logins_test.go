package main

import (
	"reflect"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"tenant-permissions/internal/scram"
)

// The server gets the verifier of the login's own password, and never the password.
func TestRolesAreGivenVerifiers(t *testing.T) {
	m := &mocks{}
	if _, err := run(t, stackConfig(`{"acme":{}}`, `{}`, `{"analyst":{}}`), m); err != nil {
		t.Fatal(err)
	}
	for prefix, role := range map[string]string{
		"app-service": "app_service_role", "admin-login": "admin_service_login", "analyst": "analyst", "acme": "tenant_acme",
	} {
		password := generated(prefix + "-password")
		want, err := scram.Verifier(password, role)
		if err != nil {
			t.Fatal(err)
		}
		input := m.named(t, prefix+"-role").Inputs["password"]
		if !input.IsSecret() || input.SecretValue().Element.StringValue() != want {
			t.Errorf("%s: the password input is not the secret verifier of %s", role, password)
		}
	}
	for _, name := range []string{"admin-service-role", "all-tenants", "all-tenants-admin"} {
		inputs := m.named(t, name).Inputs
		if _, has := inputs["password"]; has || inputs["login"].BoolValue() {
			t.Errorf("%s can log in", name)
		}
	}
}

func TestPasswordVersionMakesAnotherPassword(t *testing.T) {
	m := &mocks{}
	if _, err := run(t, stackConfig(`{"acme":{"passwordVersion":7},"globex":{}}`, `{"admin":{"passwordVersion":3}}`), m); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"acme-password": "7", "globex-password": "1", "admin-login-password": "3", "app-service-password": "1"} {
		args := m.named(t, name)
		if got := args.Inputs["keepers"].ObjectValue()["passwordVersion"].StringValue(); got != want {
			t.Errorf("%s: keeper %s, want %s", name, got, want)
		}
		if length := args.Inputs["length"].NumberValue(); length < 32 || args.Inputs["special"].BoolValue() {
			t.Errorf("%s: %v letters and digits, want 32 (190 bits)", name, length)
		}
	}
}

// Alternating logins act as their role and have no privileges of their own. The role itself does not
// log in, unless roleLogin says so.
func TestAlternatingLogins(t *testing.T) {
	m := &mocks{}
	exports, err := run(t, stackConfig(
		`{"acme":{"connectionLimit":7,"logins":{"active":"b","a":{"passwordVersion":3}}},"globex":{"logins":{"active":"a","roleLogin":true},"suspended":true}}`,
		`{"app":{"logins":{"active":"b","roleLogin":true}},"admin":{"logins":{"active":"a"},"passwordVersion":1}}`,
		`{"analyst":{"logins":{"active":"a"}}}`), m)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"acme-role": "Role acme-role parent=acme bypassRowLevelSecurity=false connectionLimit=7 login=false name=tenant_acme " +
			"password=secret<-acme-password roles=[all_tenants]<-all-tenants searchPaths=[tenant_acme] after=default-functions ignores=name",
		"acme-a-role": "Role acme-a-role parent=acme assumeRole=tenant_acme<-acme-role bypassRowLevelSecurity=false connectionLimit=7 login=true name=tenant_acme_a " +
			"password=secret<-acme-a-password roles=[tenant_acme]<-acme-role searchPaths=[tenant_acme] after=default-functions ignores=name",
		"globex-b-role": "Role globex-b-role parent=globex assumeRole=tenant_globex<-globex-role bypassRowLevelSecurity=false connectionLimit=-1 login=false name=tenant_globex_b " +
			"password=secret<-globex-b-password roles=[tenant_globex]<-globex-role searchPaths=[tenant_globex] after=default-functions ignores=name",
		"app-service-role": "Role app-service-role bypassRowLevelSecurity=false connectionLimit=-1 login=true name=app_service_role " +
			"password=secret<-app-service-password searchPaths=[pg_catalog] ignores=name",
		"app-service-a-role": "Role app-service-a-role assumeRole=app_service_role<-app-service-role bypassRowLevelSecurity=false connectionLimit=-1 login=true name=app_service_role_a " +
			"password=secret<-app-service-a-password roles=[app_service_role]<-app-service-role searchPaths=[pg_catalog] ignores=name",
		"admin-login-b-role": "Role admin-login-b-role assumeRole=admin_service_role<-admin-service-role bypassRowLevelSecurity=false connectionLimit=-1 login=true name=admin_service_login_b " +
			"password=secret<-admin-login-b-password roles=[admin_service_login]<-admin-login-role searchPaths=[pg_catalog] ignores=name",
	} {
		if got := m.describe(m.named(t, name)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	for name, version := range map[string]string{"acme-a-password": "3", "acme-b-password": "1"} {
		if keeper := m.named(t, name).Inputs["keepers"].ObjectValue()["passwordVersion"].StringValue(); keeper != version {
			t.Errorf("%s: version %s, want %s", name, keeper, version)
		}
	}
	// The schema goes first and keeps both logins if it is refused to go.
	if got := m.describe(m.named(t, "acme-schema")); !strings.Contains(got, "after=logins") {
		t.Errorf("got %s", got)
	}
	for output, want := range map[string]map[string]string{
		"tenant_role_names":  {"acme": "tenant_acme", "globex": "tenant_globex"},
		"tenant_login_names": {"acme": "tenant_acme_b", "globex": "tenant_globex_a"},
		"login_names":        {"app": "app_service_role_b", "admin": "admin_service_login_a", "analyst": "analyst_a"},
		"passwords": {
			"tenant_acme_a":         generated("acme-a-password"),
			"tenant_acme_b":         generated("acme-b-password"),
			"tenant_globex_a":       generated("globex-a-password"),
			"tenant_globex_b":       generated("globex-b-password"),
			"app_service_role":      generated("app-service-password"),
			"app_service_role_a":    generated("app-service-a-password"),
			"app_service_role_b":    generated("app-service-b-password"),
			"admin_service_login_a": generated("admin-login-a-password"),
			"admin_service_login_b": generated("admin-login-b-password"),
			"analyst_a":             generated("analyst-a-password"),
			"analyst_b":             generated("analyst-b-password"),
		},
	} {
		if got, _ := await(t, exports[output]); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", output, got, want)
		}
	}
	if name, _ := await(t, exports["admin_service_login_name"]); name != "admin_service_login_a" {
		t.Errorf("admin_service_login_name: got %v", name)
	}
}

// An expiry is given in UTC. The server's text of it is ignored, and another expiry replaces the role.
func TestValidUntil(t *testing.T) {
	readers := `{"oncall":{"validUntil":"2030-06-01T10:00:00+02:00","logins":{"active":"a"}},"analyst":{}}`
	m := &mocks{}
	if _, err := run(t, stackConfig(`{"acme":{}}`, `{}`, readers), m); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"oncall-role": "2030-06-01 08:00:00Z", "oncall-b-role": "2030-06-01 08:00:00Z", "analyst-role": "infinity"} {
		got := m.describe(m.named(t, name))
		if !strings.Contains(got, " validUntil="+text+" ") || !strings.HasSuffix(got, " deleteBeforeReplace replacementTrigger="+text+" ignores=name,validUntil") {
			t.Errorf("got %s", got)
		}
	}
	if got := m.describe(m.named(t, "oncall-password")); strings.Contains(got, "replacementTrigger") {
		t.Errorf("another expiry makes another password: %s", got)
	}
	for _, test := range []struct {
		deployed string
		accepted bool
	}{
		{"2030-06-01 08:00:00+00", true},
		{"2030-06-01 13:30:00+05:30", true},
		{"2030-05-31 22:00:00-10", true},
		{"2030-06-01 08:00:00+01", false},
		{"infinity", false},
		{"Sat Jun 01 08:00:00 2030 UTC", false},
	} {
		_, err := run(t, stackConfig(`{}`, `{}`, readers), &mocks{deployed: map[string]resource.PropertyMap{"oncall-role": {"validUntil": resource.NewProperty(test.deployed)}}})
		want := "readers.oncall.validUntil: the password is valid until " + test.deployed + " on the server, and until 2030-06-01 08:00:00Z in the config"
		if test.accepted && err != nil || !test.accepted && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got error %v", test.deployed, err)
		}
	}
}
