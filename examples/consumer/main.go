// Command consumer shows how another stack uses the outputs of tenant-permissions: it reads them
// by StackReference and makes connection URLs for the app, for each tenant and for each agent.
package main

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"
)

func main() { pulumi.Run(deploy) }

// deploy exports app_urls and tenant_urls by tenant key, and agent_urls by tenant key and agent key. They
// are secret, because they contain passwords. A real program would put them into a secret
// of its deployment instead.
//
// The app has a URL for each tenant, because a tenant may have a database of its own.
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
	output := func(name string) map[string]any {
		details, err := permissions.GetOutputDetails(name)
		if err != nil {
			problems = append(problems, err)
			return nil
		}
		if details.SecretValue != nil {
			return object(details.SecretValue)
		}
		return object(details.Value)
	}
	urls, err := server.urls(output("tenant_database_names"), output("login_names"), output("tenant_login_names"), output("tenant_agent_login_names"), output("passwords"))
	if err := errors.Join(append(problems, err)...); err != nil {
		return err
	}
	ctx.Export("app_urls", pulumi.ToSecret(pulumi.ToStringMap(urls.app)))
	ctx.Export("tenant_urls", pulumi.ToSecret(pulumi.ToStringMap(urls.tenants)))
	ctx.Export("agent_urls", pulumi.ToSecret(pulumi.ToStringMapMap(urls.agents)))
	return nil
}

// object is the value of an output that is an object. A missing one has no keys.
func object(value any) map[string]any {
	fields, _ := value.(map[string]any)
	return fields
}

// urls are connection URLs by tenant key, and those of agents by tenant key and agent key.
type urls struct {
	app, tenants map[string]string
	agents       map[string]map[string]string
}

// server is the server of the databases: host:port, and the sslmode of connections.
type server struct{ host, sslmode string }

// urls makes the URLs from outputs: databases and tenants are by tenant key, agents by tenant key and
// agent key, logins by the key of a shared role, passwords by login name.
func (s server) urls(databases, logins, tenants, agents, passwords map[string]any) (urls, error) {
	made := urls{app: map[string]string{}, tenants: map[string]string{}, agents: map[string]map[string]string{}}
	var problems []error
	url := func(tenant string, login any) string {
		url, err := s.url(databases[tenant], login, passwords)
		problems = append(problems, err)
		return url
	}
	for tenant := range databases {
		made.app[tenant] = url(tenant, logins["app"])
	}
	for tenant, login := range tenants {
		made.tenants[tenant] = url(tenant, login)
	}
	for tenant, of := range agents {
		made.agents[tenant] = map[string]string{}
		for agent, login := range object(of) {
			made.agents[tenant][agent] = url(tenant, login)
		}
	}
	return made, errors.Join(problems...)
}

// url is the connection URL of a login. It has no schema: the search path of a tenant's role is its
// schema.
func (s server) url(database, login any, passwords map[string]any) (string, error) {
	name, _ := login.(string)
	password, ok := passwords[name].(string)
	if !ok {
		return "", fmt.Errorf("the output passwords has no password of the login %q", name)
	}
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(name, password), Host: s.host, Path: "/" + fmt.Sprint(database),
		RawQuery: url.Values{"sslmode": {s.sslmode}}.Encode(),
	}
	return u.String(), nil
}
