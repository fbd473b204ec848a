package main

import (
	"encoding/json"
	"strings"
	"testing"

	"tenant-permissions/internal/config"
)

// commandOn runs a command on a config, as the CLI prints it.
func commandOn(t *testing.T, cfg map[string]string, args ...string) (string, error) {
	t.Helper()
	values := config.Values{}
	for key, value := range cfg {
		values[key] = config.Value{Value: value}
	}
	encoded, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	err = command(args, strings.NewReader(string(encoded)), &out)
	return out.String(), err
}

func TestNames(t *testing.T) {
	got, err := commandOn(t, cellConfig(`{"acme":{"schema":"a","logins":{"active":"a"}},"globex":{"retire":"keep"}}`), "names")
	if err != nil {
		t.Fatal(err)
	}
	want := "a\ttenants.acme.schema\n" +
		"tenant_acme\ttenants.acme.role\ntenant_acme_a\ttenants.acme.logins.a\ntenant_acme_b\ttenants.acme.logins.b\n" +
		"tenant_globex\ttenants.globex.role\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	shared, err := commandOn(t, stackConfig(`{}`, `{}`, `{"bi":{}}`), "names")
	if err != nil || strings.Count(shared, "\n") != 6 || !strings.Contains(shared, "all_tenants\troles.allTenants.name\n") {
		t.Errorf("got %v\n%s", err, shared)
	}
}

// What the SQL does on a server, the end-to-end tests show.
func TestCommandRefuses(t *testing.T) {
	for _, test := range []struct {
		args   []string
		config map[string]string
		want   string
	}{
		{[]string{"setup"}, stackConfig(`{}`, `{}`), `got the arguments ["setup"], want names or setup-sql`},
		{[]string{"names", "now"}, stackConfig(`{}`, `{}`), `got the arguments ["names" "now"], want`},
		{[]string{"names"}, stackConfig(`{"A":{}}`, `{}`), `tenants.A: the key "A" is not accepted; give`},
		{[]string{"setup-sql"}, cellConfig(`{}`), `platform: this stack is a cell; run setup-sql with the config of "org/tenant-permissions/prod"`},
		{[]string{"setup-sql"}, stackConfig(`{}`, `{"admin":{"superuser":true}}`), `roles.admin.superuser: true is not accepted here;`},
	} {
		if out, err := commandOn(t, test.config, test.args...); err == nil || !strings.Contains(err.Error(), test.want) || out != "" {
			t.Errorf("%v: got error %v and output %q, want %s", test.args, err, out, test.want)
		}
	}
	if err := command([]string{"names"}, strings.NewReader("no JSON"), &strings.Builder{}); err == nil {
		t.Error("accepted what is no JSON")
	}
}
