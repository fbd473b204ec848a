package tests

import (
	"fmt"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
)

// The example of a consumer reads the outputs of a deployed stack and makes URLs that log in.
func TestConsumer(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, true)
	p.configure(t, object{"acme": object{"agents": object{"chat": object{}}}, "globex": own(object{"logins": object{"active": "b"}})}, object{})
	p.up(t)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../examples/consumer")); err != nil {
		t.Fatal(err)
	}
	consumer, err := auto.UpsertStackLocalSource(t.Context(), "prod", dir, auto.Pulumi(tools.command), auto.EnvVars(p.stack.Workspace().GetEnvVars()))
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{
		"permissions": "organization/tenant-permissions/" + p.stack.Name(),
		"host":        fmt.Sprintf("%s:%d", p.server.Host, p.server.Port),
		"sslmode":     "disable",
	} {
		if err := consumer.SetConfig(t.Context(), "consumer:"+key, auto.ConfigValue{Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	result, err := consumer.Up(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	of := func(output string) map[string]any { return result.Outputs[output].Value.(map[string]any) }
	for _, want := range []struct{ url, user, database any }{
		{of("tenant_urls")["acme"], "tenant_acme", database},
		{of("tenant_urls")["globex"], "tenant_globex", "tenant_globex"},
		{of("app_urls")["acme"], "app_service_role", database},
		{of("app_urls")["globex"], "app_service_role", "tenant_globex"},
		{of("agent_urls")["acme"].(map[string]any)["chat"], "tenant_acme_chat", database},
	} {
		conn, err := pgx.Connect(t.Context(), want.url.(string))
		if err != nil {
			t.Errorf("%s in %s: %v", want.user, want.database, err)
			continue
		}
		var user, in string
		if err := conn.QueryRow(t.Context(), "SELECT current_user, current_database()").Scan(&user, &in); err != nil || user != want.user || in != want.database {
			t.Errorf("got %s in %s, want %s in %s: %v", user, in, want.user, want.database, err)
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for output, value := range result.Outputs {
		if !value.Secret {
			t.Errorf("%s is not secret", output)
		}
	}
	if len(of("app_urls")) != 2 || len(of("tenant_urls")) != 2 || len(of("agent_urls")) != 1 || len(result.Outputs) != 3 {
		t.Errorf("%d outputs", len(result.Outputs))
	}
}
