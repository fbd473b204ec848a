package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/template"

	"tenant-permissions/internal/config"
)

// command is what `go run . <word>` does besides deploying. It reads a stack's config, as `pulumi
// config --json` prints it, and writes what the word asks for.
func command(args []string, input io.Reader, out io.Writer) error {
	write, ok := map[string]func(config.Config, io.Writer) error{"names": writeNames, "setup-sql": writeSetup}[args[0]]
	if !ok || len(args) > 1 {
		return fmt.Errorf("got the arguments %q, want names or setup-sql, or none where the Pulumi CLI runs the program", args)
	}
	var values config.Values
	if err := json.NewDecoder(input).Decode(&values); err != nil {
		return fmt.Errorf("reading the output of pulumi config --json: %w", err)
	}
	cfg, err := config.Load(values)
	if err != nil {
		return err
	}
	return write(cfg, out)
}

// writeNames writes the names that the stack claims on its server, one a line, with a tab and the
// path in the config behind it. Two stacks of one server must have none in common.
func writeNames(cfg config.Config, out io.Writer) error {
	names := config.Names(cfg)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if _, err := fmt.Fprintf(out, "%s\t%s\n", name, names[name]); err != nil {
			return err
		}
	}
	return nil
}

// writeSetup writes what is run before the first deployment where the program is not to connect as a
// superuser: SQL that makes the user it connects as, with what the config needs and no more. A
// superuser runs it, or whoever has CREATEROLE and CREATEDB and owns the database, such as the
// administrator of a managed service.
func writeSetup(cfg config.Config, out io.Writer) error {
	if !config.ValidDatabase(cfg.User) {
		return fmt.Errorf("postgresql:username: got %s, want %s", config.Show(cfg.User), config.WantDatabase)
	}
	if cfg.Platform != "" {
		return fmt.Errorf("platform: got %s, want nothing: it takes the config of that stack", config.Show(cfg.Platform))
	}
	if cfg.Admin.Superuser {
		return errors.New("roles.admin.superuser: got true, want false: only a superuser can make a superuser, so connect as one")
	}
	return template.Must(template.New("setup").Parse(setupTemplate)).Execute(out, struct {
		config.Config
		BypassRLS bool
	}{cfg, cfg.App.BypassRowLevelSecurity || cfg.Admin.BypassRowLevelSecurity})
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
DO $$ BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        REVOKE "{{.User}}" FROM CURRENT_USER;
    END IF;
END $$;
COMMIT;
`
