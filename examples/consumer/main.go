// Command consumer shows how another stack uses the outputs of tenant-permissions: it reads them
// by StackReference and makes a connection URL for the app and for each tenant.
package main

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"
)

func main() { pulumi.Run(deploy) }

// deploy exports app_url, and tenant_urls by tenant key. Both are secret because they are made from
// passwords, which is. A real program would put them into a secret of its deployment instead.
func deploy(ctx *pulumi.Context) error {
	var problems []error
	setting := func(key string) string {
		value, err := config.Try(ctx, "consumer:"+key)
		if err != nil {
			problems = append(problems, err)
		}
		return value
	}
	from, server := setting("permissions"), server{host: setting("host"), sslmode: setting("sslmode")}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	permissions, err := pulumi.NewStackReference(ctx, from, nil)
	if err != nil {
		return err
	}
	version, err := permissions.GetOutputDetails("outputs_version")
	if err != nil {
		return err
	}
	if version.Value != 1.0 {
		return fmt.Errorf("consumer:permissions: the outputs of %q have version %v; this program reads version 1", from, version.Value)
	}
	output := func(name string) pulumi.AnyOutput { return permissions.GetOutput(pulumi.String(name)) }
	outputs := pulumi.All(output("database_name"), output("login_names"), output("tenant_login_names"), output("passwords"))
	ctx.Export("app_url", outputs.ApplyT(func(all []any) (string, error) {
		return server.url(all[0], all[1].(map[string]any)["app"], all[3])
	}))
	ctx.Export("tenant_urls", outputs.ApplyT(func(all []any) (map[string]string, error) {
		urls := map[string]string{}
		for tenant, login := range all[2].(map[string]any) {
			url, err := server.url(all[0], login, all[3])
			if err != nil {
				return nil, err
			}
			urls[tenant] = url
		}
		return urls, nil
	}))
	return nil
}

// server is the server of the database: host:port, and the sslmode of connections.
type server struct{ host, sslmode string }

// url is the connection URL of a login. It has no schema: the search path of a tenant's role is its
// schema.
func (s server) url(database, login, passwords any) (string, error) {
	name, _ := login.(string)
	password, ok := passwords.(map[string]any)[name].(string)
	if !ok {
		return "", fmt.Errorf("the output passwords has no password of the login %q", name)
	}
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(name, password), Host: s.host, Path: "/" + fmt.Sprint(database),
		RawQuery: url.Values{"sslmode": {s.sslmode}}.Encode(),
	}
	return u.String(), nil
}
