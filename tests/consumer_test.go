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
	p := newPlatform(t, true)
	p.configure(t, object{"acme": object{}, "globex": object{"logins": object{"active": "b"}}}, object{})
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
	urls := result.Outputs["tenant_urls"].Value.(map[string]any)
	urls["the app"] = result.Outputs["app_url"].Value
	for of, want := range map[string]string{"acme": "tenant_acme", "globex": "tenant_globex", "the app": "app_service_role"} {
		conn, err := pgx.Connect(t.Context(), urls[of].(string))
		if err != nil {
			t.Errorf("%s: %v", of, err)
			continue
		}
		var user string
		if err := conn.QueryRow(t.Context(), "SELECT current_user").Scan(&user); err != nil || user != want {
			t.Errorf("%s logs in as %s, want %s: %v", of, user, want, err)
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
	if len(urls) != 3 || len(result.Outputs) != 2 {
		t.Errorf("%d URLs, %d outputs", len(urls), len(result.Outputs))
	}
}
