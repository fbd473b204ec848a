package standin

import (
	"context"
	"net"
	"strconv"
	"strings"
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

func configure(t *testing.T, settings values) error {
	t.Helper()
	_, err := plug(t, newPostgreSQL(unlogged)).client.Configure(t.Context(), &pulumirpc.ConfigureRequest{Args: encode(t, settings)})
	return err
}

func TestOtherMachinesAreRefused(t *testing.T) {
	for _, host := range []string{
		"db.example.com", "10.0.0.1", "192.168.1.1", "0.0.0.0", "::", "169.254.169.254", "127.0.0.1.example.com", "127.0.0.1,10.0.0.1",
		"/var/run/postgresql", "@abstract", "::ffff:10.0.0.1", " localhost", "localhost.", "127.1", "2130706433",
	} {
		t.Run(host, func(t *testing.T) {
			wantError(t, configure(t, values{"host": host}), strconv.Quote(host), "not this machine")

			p := plug(t, newPostgreSQL(unlogged))
			checked, err := p.client.CheckConfig(t.Context(), &pulumirpc.CheckRequest{
				Urn: "urn:pulumi:test::test::pulumi:providers:postgresql::it", News: encode(t, values{"host": host}),
			})
			check(t, err)
			if len(checked.GetFailures()) != 1 {
				t.Errorf("CheckConfig accepts it: %v", checked)
			}
			t.Setenv("PGHOST", host)
			wantError(t, configure(t, values{}), strconv.Quote(host), "not this machine")
		})
	}
	for _, host := range []string{"localhost", "127.0.0.1", "127.8.9.10", "::1"} {
		check(t, configure(t, values{"host": host}))
	}
}

// Whatever localhost may stand for, a connection that leaves the machine is not made.
func TestOtherAddressesAreNotDialled(t *testing.T) {
	c, err := connectionOf(object{})
	check(t, err)
	config, err := c.config("postgres")
	check(t, err)
	for network, address := range map[string]string{"tcp": "192.0.2.1:5432", "unix": "/var/run/postgresql/.s.PGSQL.5432"} {
		_, err = config.DialFunc(t.Context(), network, address)
		wantError(t, err, address, "is not this machine")
	}
}

func TestSettings(t *testing.T) {
	for name, test := range map[string]struct {
		settings values
		want     string
	}{
		"not implemented": {values{"awsRdsIamAuth": true}, `provider setting awsRdsIamAuth: property "awsRdsIamAuth" is not implemented`},
		"port":            {values{"port": "many"}, "port"},
		"superuser":       {values{"superuser": "perhaps"}, "superuser"},
		"sslmode":         {values{"sslmode": "wishful"}, "sslmode"},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, configure(t, test.settings), test.want) })
	}
}

func TestSettingsFromTheEnvironment(t *testing.T) {
	for variable, value := range map[string]string{
		"PGHOST": "::1", "PGPORT": "1234", "PGUSER": "user", "PGPASSWORD": "password", "PGDATABASE": "database", "PGSSLMODE": "disable", "PGSUPERUSER": "false",
	} {
		t.Setenv(variable, value)
	}
	got, err := connectionOf(object{})
	check(t, err)
	want := connection{
		host: "::1", port: 1234, username: "user", password: "password", database: "database", sslmode: "disable",
		connectTimeout: 180, maxConnections: 20,
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	settings := object{}
	settings.set("port", 4321)
	settings.set("superuser", true)
	if got, err := connectionOf(settings); err != nil || got.port != 4321 || !got.superuser {
		t.Errorf("the environment wins over the settings: %+v %v", got, err)
	}
}

func TestSettingsLeftOut(t *testing.T) {
	for _, variable := range []string{"PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSSLMODE", "PGSUPERUSER", "PGCONNECT_TIMEOUT"} {
		t.Setenv(variable, "")
	}
	got, err := connectionOf(object{})
	check(t, err)
	want := connection{
		host: "localhost", port: 5432, username: "postgres", database: "postgres", sslmode: "require",
		superuser: true, connectTimeout: 180, maxConnections: 20,
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestRefusedInputs(t *testing.T) {
	postgresql, random := plug(t, newPostgreSQL(unlogged)), plug(t, newRandom())
	grant := values{"role": "r", "database": "d", "objectType": "schema", "schema": "s", "privileges": []string{}}
	with := func(name string, value any) values {
		inputs := values{name: value}
		for k, v := range grant {
			if k != name {
				inputs[k] = v
			}
		}
		return inputs
	}
	for name, test := range map[string]struct {
		p      plugged
		typ    string
		inputs values
		want   string
	}{
		"role property":       {postgresql, roleType, values{"name": "r", "skipDropRole": true}, `property "skipDropRole" is not implemented`},
		"membership property": {postgresql, membershipType, values{"role": "r", "grantRole": "g", "inherit": true}, `property "inherit" is not implemented`},
		"schema property":     {postgresql, schemaType, values{"name": "s", "policies": []any{}}, `property "policies" is not implemented`},
		"grant property":      {postgresql, grantType, with("objects", []string{"t"}), `property "objects" is not implemented`},
		"defaults property":   {postgresql, defaultPrivilegesType, values{"withGrantOption": true}, `property "withGrantOption" is not implemented`},
		"password property":   {random, passwordType, values{"length": 8, "minLower": 1}, `property "minLower" is not implemented`},
		"output":              {random, passwordType, values{"length": 8, "result": "mine"}, `property "result" is not implemented`},
		"missing":             {postgresql, roleType, values{"login": true}, `missing required property "name"`},
		"no text":             {postgresql, roleType, values{"name": 1}, `"name" must be text`},
		"no flag":             {postgresql, roleType, values{"name": "r", "login": "yes"}, `"login" must be true or false`},
		"no number":           {random, passwordType, values{"length": "8"}, `"length" must be a number`},
		"no list":             {postgresql, roleType, values{"name": "r", "roles": "all"}, `"roles" must be a list`},
		"no list of text":     {postgresql, roleType, values{"name": "r", "roles": []any{1}}, `"roles" must be text`},
		"no object":           {random, passwordType, values{"length": 8, "keepers": "k"}, `"keepers" must be an object`},
		"object type":         {postgresql, grantType, with("objectType", "function"), `"objectType" must be one of database, schema, table, sequence`},
		"privilege":           {postgresql, grantType, with("privileges", []string{"ALL"}), `"privileges" must be one of CREATE`},
		"unknown type":        {postgresql, "postgresql:index/function:Function", values{}, "postgresql:index/function:Function is not implemented"},
		"other package":       {random, "random:index/randomBytes:RandomBytes", values{}, "random:index/randomBytes:RandomBytes is not implemented"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := test.p.try(test.typ, test.inputs)
			wantError(t, err, test.want)
		})
	}
}

func TestRefusedOperations(t *testing.T) {
	p := plug(t, newPostgreSQL(unlogged))
	_, err := p.client.Diff(t.Context(), &pulumirpc.DiffRequest{Urn: urnOf(roleType), IgnoreChanges: []string{"roles[0]"}})
	wantError(t, err, `ignoreChanges for "roles[0]" is not implemented`)
	_, err = p.client.Invoke(t.Context(), &pulumirpc.InvokeRequest{Tok: "postgresql:index/getTables:getTables"})
	wantError(t, err, "Unimplemented")
}

func TestUseIsAnnouncedInOneLine(t *testing.T) {
	var lines []string
	p := plug(t, newPostgreSQL(func(_ context.Context, line string) error {
		lines = append(lines, line)
		return nil
	}))
	_, err := p.client.Configure(t.Context(), &pulumirpc.ConfigureRequest{Args: encode(t, values{"host": "localhost"})})
	check(t, err)
	if len(lines) != 1 || !strings.Contains(lines[0], "offline stand-in") || strings.Contains(lines[0], "\n") {
		t.Errorf("announced %q", lines)
	}
}

func TestConnectionErrorsHoldNoPassword(t *testing.T) {
	const password = "do-not-repeat-me"
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	port := closed.Addr().(*net.TCPAddr).Port
	check(t, closed.Close())
	for name, port := range map[string]int{"refused": port, "wrong password": theServer.Port} {
		t.Run(name, func(t *testing.T) {
			p := plug(t, newPostgreSQL(unlogged))
			_, err := p.client.Configure(t.Context(), &pulumirpc.ConfigureRequest{Args: encode(t, values{
				"host": "localhost", "port": port, "password": password, "sslmode": "disable",
			})})
			check(t, err)
			_, err = p.try(roleType, values{"name": "r", "password": password})
			wantError(t, err, "connecting to PostgreSQL")
			if strings.Contains(err.Error(), password) {
				t.Errorf("error %q repeats the password", err)
			}
		})
	}
}

func TestPasswordOfTheProviderStaysSecret(t *testing.T) {
	checked, err := plug(t, newPostgreSQL(unlogged)).client.CheckConfig(t.Context(), &pulumirpc.CheckRequest{
		Urn: "urn:pulumi:test::test::pulumi:providers:postgresql::it", News: encode(t, values{"password": "p", "host": unknown()}),
	})
	check(t, err)
	if inputs := decode(t, checked.GetInputs()); len(checked.GetFailures()) > 0 || !inputs["password"].IsSecret() || !inputs["host"].IsComputed() {
		t.Errorf("got %v", checked)
	}
}
