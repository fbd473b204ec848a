package devstack

import (
	"slices"
	"strings"
	"testing"

	"tenant-permissions/dev/internal/script"
	"tenant-permissions/dev/postgres"
	"tenant-permissions/dev/toolchain"
)

func TestLogins(t *testing.T) {
	out := outputs{
		TenantLoginNames: map[string]string{"acme": "tenant_acme", "initech": "initech_login"},
		Passwords:        map[string]string{"tenant_acme": "a", "initech_login": "i", "admin_service_login": "s"},
	}
	for _, test := range []struct {
		login          Login
		name, password string
		fails          string
	}{
		{login: Login{Tenant: "acme"}, name: "tenant_acme", password: "a"},
		{login: Login{Tenant: "initech"}, name: "initech_login", password: "i"},
		{login: Login{Name: "admin_service_login"}, name: "admin_service_login", password: "s"},
		{login: Login{Tenant: "globex"}, fails: "acme, initech"},
		{login: Login{Name: "acme"}, fails: "admin_service_login, initech_login, tenant_acme"},
		{login: Login{}, fails: "TENANT="},
		{login: Login{Tenant: "acme", Name: "tenant_acme"}, fails: "either"},
	} {
		name, password, err := out.find(test.login)
		if test.fails == "" && (err != nil || name != test.name || password != test.password) {
			t.Errorf("%+v: got %s, %v", test.login, name, err)
		}
		if test.fails != "" && (err == nil || !strings.Contains(err.Error(), test.fails)) {
			t.Errorf("%+v: got %v, want %s", test.login, err, test.fails)
		}
	}
}

func TestDatabase(t *testing.T) {
	for config, want := range map[string]string{
		`{"postgresql:database": {"value": "d"}, "tenant-permissions:tenants": {"value": "{}"}}`: "d",
		`{}`: "postgresql:database",
		`{"postgresql:database": {"value": "d"}, "postgresql:host": {"value": "db.example.com"}}`: "postgresql:host",
		`{"postgresql:database": {"value": "d"}, "postgresql:password": {"secret": true}}`:        "postgresql:password",
	} {
		script.PulumiCLI(t, "v3.300.0", "echo '"+config+"'")
		dev := &Stack{checkout: t.TempDir(), tools: &toolchain.Toolchain{}}
		got, err := dev.database(t.Context())
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) || (want == "d") != (err == nil) {
			t.Errorf("%s: got %s, want %s", config, got, want)
		}
	}
}

// The caller's own settings of PostgreSQL must not lead anywhere else.
func TestEnvironment(t *testing.T) {
	t.Setenv("PGDATABASE", "other")
	t.Setenv("PGSERVICE", "other")
	t.Setenv("PGHOST", "other.example.com")
	dev := &Stack{checkout: "/checkout", server: &postgres.Server{Host: "127.0.0.1", Port: 5432, User: "u", Password: "p"}}
	var got []string
	for _, pair := range dev.env() {
		if strings.HasPrefix(pair, "PG") || strings.HasPrefix(pair, "PULUMI_BACKEND_URL=") {
			got = append(got, pair)
		}
	}
	slices.Sort(got)
	want := []string{"PGHOST=127.0.0.1", "PGPASSWORD=p", "PGPORT=5432", "PGSSLMODE=disable", "PGUSER=u", "PULUMI_BACKEND_URL=file:///checkout/.local/state"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
