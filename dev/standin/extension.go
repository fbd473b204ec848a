package standin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/jackc/pgx/v5"
)

// extensions manages postgresql.Extension. Unlike the other types it borrows no owner and takes no lock.
func extensions(s *server) resourceType {
	return resourceType{
		properties: map[string]property{
			"name":          {required: true, replaces: true},
			"database":      {computed: true, replaces: true},
			"schema":        {computed: true},
			"version":       {computed: true},
			"createCascade": {kind: flag, fallback: false},
			"dropCascade":   {kind: flag, fallback: false},
		},
		deleteBeforeReplace: true,

		id: func(extension object) string { return extension.text("database") + "." + extension.text("name") },
		parse: func(id string) (object, error) {
			parts := strings.Split(id, ".")
			if len(parts) != 2 {
				return nil, fmt.Errorf("extension ID %s has not the expected format 'database.extension': %v", id, parts)
			}
			extension := object{}
			extension.set("database", parts[0])
			extension.set("name", parts[1])
			return extension, nil
		},
		create: s.createExtension,
		read:   s.readExtension,
		update: s.updateExtension,
		delete: func(ctx context.Context, extension object) error {
			behaviour := "RESTRICT"
			if extension.flag("dropCascade") {
				behaviour = "CASCADE"
			}
			return s.transaction(ctx, extension.text("database"), func(tx pgx.Tx) error {
				name := extension.text("name")
				return execute(ctx, tx, "dropping extension "+name, "DROP EXTENSION "+quote(name)+" "+behaviour)
			})
		},
	}
}

// createExtension takes over an extension that is there already, in whatever schema and version.
func (s *server) createExtension(ctx context.Context, extension object) error {
	extension.set("database", cmp.Or(extension.text("database"), s.database))
	name := extension.text("name")
	sql := "CREATE EXTENSION IF NOT EXISTS " + quote(name)
	if schema := extension.text("schema"); schema != "" {
		sql += " SCHEMA " + quote(schema)
	}
	if version := extension.text("version"); version != "" {
		sql += " VERSION " + quote(version)
	}
	if extension.flag("createCascade") {
		sql += " CASCADE"
	}
	return s.transaction(ctx, extension.text("database"), func(tx pgx.Tx) error {
		return execute(ctx, tx, "creating extension "+name, sql)
	})
}

// readExtension takes an extension for gone if its database is.
func (s *server) readExtension(ctx context.Context, state object) (object, error) {
	exists, err := s.databaseExists(ctx, state.text("database"))
	if err != nil || !exists {
		return nil, err
	}
	extension := maps.Clone(state)
	err = s.transaction(ctx, state.text("database"), func(tx pgx.Tx) error {
		var schema, version string
		err := tx.QueryRow(ctx, "SELECT nspname, extversion FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = $1",
			state.text("name")).Scan(&schema, &version)
		if errors.Is(err, pgx.ErrNoRows) {
			extension = nil
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading extension %s: %w", state.text("name"), err)
		}
		extension.set("schema", schema)
		extension.set("version", version)
		return nil
	})
	return extension, err
}

func (s *server) updateExtension(ctx context.Context, prior, extension object) error {
	name := extension.text("name")
	return s.transaction(ctx, extension.text("database"), func(tx pgx.Tx) error {
		if schema := extension.text("schema"); schema != prior.text("schema") {
			if err := execute(ctx, tx, "moving extension "+name, "ALTER EXTENSION "+quote(name)+" SET SCHEMA "+quote(schema)); err != nil {
				return err
			}
		}
		if version := extension.text("version"); version != prior.text("version") {
			return execute(ctx, tx, "updating extension "+name, "ALTER EXTENSION "+quote(name)+" UPDATE TO "+quote(version))
		}
		return nil
	})
}
