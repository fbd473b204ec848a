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
		DatabaseName:          "ai_platform",
		TenantDatabaseNames:   map[string]string{"acme": "ai_platform", "hooli": "tenant_hooli"}, // older outputs have none
		TenantLoginNames:      map[string]string{"acme": "tenant_acme", "hooli": "tenant_hooli", "initech": "initech_login"},
		TenantAgentLoginNames: map[string]map[string]string{"hooli": {"chat": "hooli_chat"}},
		Passwords:             map[string]string{"tenant_acme": "a", "initech_login": "i", "admin_service_login": "s", "tenant_hooli": "h", "hooli_chat": "c"},
	}
	for _, test := range []struct {
		login Login
		want  connection
		fails string
	}{
		{login: Login{Tenant: "acme"}, want: connection{"tenant_acme", "a", "ai_platform"}},
		{login: Login{Tenant: "initech"}, want: connection{"initech_login", "i", "ai_platform"}},
		{login: Login{Tenant: "hooli"}, want: connection{"tenant_hooli", "h", "tenant_hooli"}},
		{login: Login{Name: "hooli_chat"}, want: connection{"hooli_chat", "c", "tenant_hooli"}},
		{login: Login{Name: "admin_service_login"}, want: connection{"admin_service_login", "s", "ai_platform"}},
		{login: Login{Tenant: "globex"}, fails: "acme, hooli, initech"},
		{login: Login{Name: "acme"}, fails: "admin_service_login, hooli_chat, initech_login, tenant_acme, tenant_hooli"},
		{login: Login{}, fails: "TENANT="},
		{login: Login{Tenant: "acme", Name: "tenant_acme"}, fails: "either"},
	} {
		found, err := out.find(test.login)
		if test.fails == "" && (err != nil || found != test.want) {
			t.Errorf("%+v: got %+v, %v", test.login, found, err)
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
