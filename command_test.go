package main

import (
	"encoding/json"
	"strings"
	"testing"

	"tenant-permissions/internal/config"
)

// commandOn runs a command on a config, as the CLI prints it.
func commandOn(t *testing.T, values map[string]string, args ...string) (string, error) {
	t.Helper()
	set := config.Values{}
	for key, value := range values {
		set[key] = config.Value{Value: value}
	}
	encoded, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	err = command(args, strings.NewReader(string(encoded)), &out)
	return out.String(), err
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
		{[]string{"names"}, stackConfig(`{"A":{}}`, `{}`), `tenants.A: the key "A" is not accepted`},
		{[]string{"setup-sql"}, cellConfig(`{}`), `platform: got "org/tenant-permissions/prod", want nothing`},
		{[]string{"setup-sql"}, stackConfig(`{}`, `{"admin":{"superuser":true}}`), `roles.admin.superuser: got true, want false`},
	} {
		if out, err := commandOn(t, test.config, test.args...); err == nil || !strings.Contains(err.Error(), test.want) || out != "" {
			t.Errorf("%v: got error %v and output %q, want %s", test.args, err, out, test.want)
		}
	}
	if err := command([]string{"names"}, strings.NewReader("no JSON"), &strings.Builder{}); err == nil {
		t.Error("accepted what is no JSON")
	}
}
