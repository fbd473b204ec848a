// Package setup says what a stack takes on its server, from the stack's config alone: names, and the
// SQL that makes the user as whom the program connects.
package setup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"text/template"

	"tenant-permissions/internal/config"
)

// ReadConfig reads a stack's config as `pulumi config --json` prints it.
func ReadConfig(in io.Reader) (config.Config, error) {
	var values config.Values
	if err := json.NewDecoder(in).Decode(&values); err != nil {
		return config.Config{}, fmt.Errorf("reading the output of pulumi config --json: %w", err)
	}
	return config.Load(values, os.LookupEnv)
}

// WriteNames writes the names that the stack takes on its server, one a line, with a tab and the
// path in the config behind it. Two stacks of one server must have none in common.
func WriteNames(cfg config.Config, out io.Writer) error {
	names := config.Names(cfg)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if _, err := fmt.Fprintf(out, "%s\t%s\n", name, names[name]); err != nil {
			return err
		}
	}
	return nil
}

// WriteSQL writes what is run before the first deployment where the program is not to connect as a
// superuser: SQL that makes the user it connects as, with what the config needs and no more. A
// superuser runs it, or whoever has CREATEROLE and CREATEDB and owns the database, such as the
// administrator of a managed service.
func WriteSQL(cfg config.Config, out io.Writer) error {
	if !config.ValidDatabase(cfg.User) {
		return errors.New("postgresql:username is not accepted here: give a name of letters, digits, _ and -")
	}
	if cfg.Platform != "" {
		return fmt.Errorf("platform: this stack is a cell; run setup-sql with the config of %s", config.Show(cfg.Platform))
	}
	if cfg.Admin.Superuser {
		return errors.New("roles.admin.superuser: true is not accepted here; only a superuser can make a superuser, so connect as one, or set it to false")
	}
	return template.Must(template.New("setup").Parse(setupTemplate)).Execute(out, struct {
		config.Config
		BypassRLS bool
		// Wanted are the names of the extensions, sorted.
		Wanted []string
	}{cfg, cfg.App.BypassRowLevelSecurity || cfg.Admin.BypassRowLevelSecurity, slices.Sorted(maps.Keys(cfg.Extensions))})
}

// setupTemplate needs no quoting beyond its own: the names in it are letters, digits, _ and -.
const setupTemplate = `-- Makes the user {{.User}}, as whom tenant-permissions connects. A superuser runs this in the
-- database {{.Database}}, or its owner with CREATEROLE and CREATEDB, and again after changes of the
-- config: it happens as a whole or not at all. Then the user needs a password, in psql:
-- \password {{.User}}
BEGIN;
DO $$
DECLARE
    version constant int := current_setting('server_version_num')::int / 10000;
    attribute text;
BEGIN
    IF current_database() <> '{{.Database}}' THEN
        RAISE EXCEPTION 'connected to the database %, want {{.Database}}', current_database();
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{{.User}}' AND rolsuper) THEN
        RAISE EXCEPTION '{{.User}} is a superuser and needs none of this, want another user in postgresql:username';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{{.User}}') THEN
        CREATE ROLE "{{.User}}";
    END IF;
    ALTER ROLE "{{.User}}" LOGIN CREATEROLE INHERIT;
    -- From PostgreSQL 16 on it gives to roles only what it has itself. Nothing is altered that is so
    -- already: who is no superuser may not even say NOREPLICATION.
    FOR attribute IN
        SELECT CASE WHEN wanted THEN '' ELSE 'NO' END || name
        FROM pg_roles, LATERAL (VALUES
            ('CREATEDB', rolcreatedb, {{.Admin.CreateDatabase}} AND version >= 16),
            ('BYPASSRLS', rolbypassrls, {{.BypassRLS}} AND version >= 16),
            ('REPLICATION', rolreplication, {{.Admin.Replication}} AND version >= 16)) AS attributes (name, has, wanted)
        WHERE rolname = '{{.User}}' AND has <> wanted
    LOOP
        EXECUTE 'ALTER ROLE "{{.User}}" ' || attribute;
    END LOOP;
    IF version < 16 THEN
{{- if or .BypassRLS .Admin.Replication}}
        RAISE EXCEPTION 'before PostgreSQL 16 only a superuser gives bypassRowLevelSecurity and replication to roles: take them out of the config, or connect as one';
{{- end}}
{{- if .Admin.CreateRole}}
        RAISE WARNING 'before PostgreSQL 16 a role with CREATEROLE can join any role but a superuser: set roles.admin.createRole to false if {{.Admin.Name}} is not to';
{{- end}}
    END IF;
    IF version < 15 THEN
        -- From then on this schema belongs to whoever owns the database.
        ALTER SCHEMA public OWNER TO "{{.User}}";
    END IF;
END $$;
-- Only its owner can close a database to PUBLIC. To hand one over, who is no superuser must be a
-- member of the new owner.
DO $$ BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        GRANT "{{.User}}" TO CURRENT_USER;
    END IF;
END $$;
ALTER DATABASE "{{.Database}}" OWNER TO "{{.User}}";
{{- range .ClosedDatabases}}
ALTER DATABASE "{{.}}" OWNER TO "{{$.User}}";
{{- end}}
{{- if .Extensions}}
-- Extensions that only a superuser may create. The stack creates the others itself.
DO $$
DECLARE
    extension record;
BEGIN
    FOR extension IN
        SELECT name, (SELECT bool_or(trusted) FROM pg_available_extension_versions v WHERE v.name = wanted.name) AS trusted
        FROM (VALUES {{range $i, $e := .Wanted}}{{if $i}}, {{end}}('{{$e}}'){{end}}) AS wanted (name)
        WHERE NOT EXISTS (SELECT FROM pg_extension WHERE extname = name)
    LOOP
        IF extension.trusted IS NULL THEN
            RAISE WARNING 'the server does not have the extension %: install it before the stack is deployed', extension.name;
        ELSIF extension.trusted THEN
            NULL;
        ELSIF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
            CREATE SCHEMA IF NOT EXISTS {{.ExtensionSchema}} AUTHORIZATION "{{.User}}";
            EXECUTE format('CREATE EXTENSION %I SCHEMA {{.ExtensionSchema}} CASCADE', extension.name);
        ELSE
            RAISE WARNING 'only a superuser may create the extension %: run this as one, or as the server''s administrator', extension.name;
        END IF;
    END LOOP;
END $$;
{{- end}}
DO $$ BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        REVOKE "{{.User}}" FROM CURRENT_USER;
    END IF;
END $$;
COMMIT;
`
