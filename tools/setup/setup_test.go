package setup

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"tenant-permissions/internal/config"
)

// written is what write makes of a config, as the CLI prints it.
func written(t *testing.T, write func(config.Config, io.Writer) error, keys map[string]string) (string, error) {
	t.Helper()
	values := config.Values{"postgresql:database": {Value: "platform"}, "postgresql:username": {Value: "deployer"}}
	for key, value := range keys {
		values["tenant-permissions:"+key] = config.Value{Value: value}
	}
	encoded, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := ReadConfig(bytes.NewReader(encoded))
	if err != nil {
		return "", err
	}
	var out strings.Builder
	err = write(cfg, &out)
	return out.String(), err
}

type keys = map[string]string

func TestNames(t *testing.T) {
	got, err := written(t, WriteNames, keys{"platform": "org/tenant-permissions/prod", "tenants": `{"acme":{"schema":"a","logins":{"active":"a"}},"globex":{"retire":"keep"}}`})
	if err != nil {
		t.Fatal(err)
	}
	want := "a\ttenants.acme.schema\n" +
		"tenant_acme\ttenants.acme.role\ntenant_acme_a\ttenants.acme.logins.a\ntenant_acme_b\ttenants.acme.logins.b\n" +
		"tenant_globex\ttenants.globex.role\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	shared, err := written(t, WriteNames, keys{"tenants": `{}`, "readers": `{"bi":{}}`})
	if err != nil || strings.Count(shared, "\n") != 6 || !strings.Contains(shared, "all_tenants\troles.allTenants.name\n") {
		t.Errorf("got %v\n%s", err, shared)
	}
}

func writeSQL(cfg config.Config, out io.Writer) error { return WriteSQL(cfg, false, out) }

// Tenants with databases of their own, in this stack or in its cells, need more of the user.
func TestTenantDatabases(t *testing.T) {
	own := keys{"tenants": `{"acme":{"isolation":"database"}}`}
	ofCells := func(cfg config.Config, out io.Writer) error { return WriteSQL(cfg, true, out) }
	for _, test := range []struct {
		write  func(config.Config, io.Writer) error
		config keys
		want   bool
	}{{writeSQL, own, true}, {ofCells, keys{"tenants": `{}`}, true}, {writeSQL, keys{"tenants": `{"acme":{}}`}, false}} {
		sql, err := written(t, test.write, test.config)
		if err != nil || strings.Contains(sql, "GRANT pg_signal_backend TO") != test.want || strings.Contains(sql, "('CREATEDB', rolcreatedb, true OR") != test.want {
			t.Errorf("%v: got error %v and\n%s", test.config, err, sql)
		}
	}
}

// What the SQL does on a server, the end-to-end tests show.
func TestRefuses(t *testing.T) {
	for _, test := range []struct {
		write  func(config.Config, io.Writer) error
		config keys
		want   string
	}{
		{WriteNames, keys{"tenants": `{"A":{}}`}, `tenants.A: the key "A" is not accepted; give`},
		{writeSQL, keys{"tenants": `{}`, "platform": "org/tenant-permissions/prod"}, `platform: this stack is a cell; give setup-sql the config of "org/tenant-permissions/prod"`},
		{writeSQL, keys{"tenants": `{}`, "roles": `{"admin":{"superuser":true}}`}, `roles.admin.superuser: true is not accepted here:`},
	} {
		if out, err := written(t, test.write, test.config); err == nil || !strings.Contains(err.Error(), test.want) || out != "" {
			t.Errorf("%v: got error %v and output %q, want %s", test.config, err, out, test.want)
		}
	}
	if _, err := ReadConfig(strings.NewReader("no JSON")); err == nil {
		t.Error("accepted what is no JSON")
	}
}
