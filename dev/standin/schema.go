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

// schemas manages postgresql.Schema.
func schemas(s *server) resourceType {
	return resourceType{
		properties: map[string]property{
			"name":        {required: true},
			"database":    {computed: true, replaces: true},
			"owner":       {computed: true},
			"dropCascade": {kind: flag, fallback: false},
			"ifNotExists": {kind: flag, fallback: true},
		},
		// The bridge asks for this where a replacement would have the name of the old resource.
		deleteBeforeReplace: true,

		id:     func(schema object) string { return schema.text("database") + "." + schema.text("name") },
		parse:  parseSchema,
		create: s.createSchema,
		read:   s.readSchema,
		update: s.updateSchema,
		delete: s.deleteSchema,
	}
}

// parseSchema refuses names with a dot: such a schema cannot be imported.
func parseSchema(id string) (object, error) {
	parts := strings.Split(id, ".")
	if len(parts) != 2 {
		return nil, fmt.Errorf("schema ID %s has not the expected format 'database.schema': %v", id, parts)
	}
	schema := object{}
	schema.set("database", parts[0])
	schema.set("name", parts[1])
	return schema, nil
}

// createSchema adopts an existing schema and changes its owner, without a warning and whatever
// ifNotExists is.
func (s *server) createSchema(ctx context.Context, schema object) error {
	schema.set("database", cmp.Or(schema.text("database"), s.database))
	name, owner := schema.text("name"), schema.text("owner")
	return s.transaction(ctx, schema.text("database"), func(tx pgx.Tx) error {
		lender, err := databaseOwner(ctx, tx)
		if err != nil {
			return err
		}
		owners := []string{lender}
		if owner != "" && owner != lender {
			owners = append(owners, owner)
		}
		return asOwners(ctx, tx, owners, func() error {
			exists, err := ask(ctx, tx, "looking for schema "+name, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", name)
			if err != nil {
				return err
			}
			if exists && owner == "" {
				return nil
			}
			if exists {
				return setSchemaOwner(ctx, tx, schema)
			}
			sql := "CREATE SCHEMA "
			if schema.flag("ifNotExists") {
				sql += "IF NOT EXISTS "
			}
			sql += quote(name)
			if owner != "" {
				sql += " AUTHORIZATION " + quote(owner)
			}
			return execute(ctx, tx, "creating schema "+name, sql)
		})
	})
}

// readSchema finds no schema if its database is gone.
func (s *server) readSchema(ctx context.Context, state object) (object, error) {
	database, err := s.databaseExists(ctx, state.text("database"))
	if err != nil || !database {
		return nil, err
	}
	schema := maps.Clone(state)
	err = s.transaction(ctx, state.text("database"), func(tx pgx.Tx) error {
		var owner string
		err := tx.QueryRow(ctx, "SELECT pg_get_userbyid(nspowner)::text FROM pg_namespace WHERE nspname = $1", state.text("name")).Scan(&owner)
		if errors.Is(err, pgx.ErrNoRows) {
			schema = nil
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading schema %s: %w", state.text("name"), err)
		}
		schema.set("owner", owner)
		return nil
	})
	return schema, err
}

// updateSchema does not become a member of the owner: without superuser it fails unless the
// connection's user owns the schema.
func (s *server) updateSchema(ctx context.Context, prior, schema object) error {
	return s.transaction(ctx, schema.text("database"), func(tx pgx.Tx) error {
		if before, after := prior.text("name"), schema.text("name"); before != after {
			purpose := fmt.Sprintf("renaming schema %s to %s", before, after)
			if err := execute(ctx, tx, purpose, "ALTER SCHEMA "+quote(before)+" RENAME TO "+quote(after)); err != nil {
				return err
			}
		}
		if prior.text("owner") == schema.text("owner") {
			return nil
		}
		return setSchemaOwner(ctx, tx, schema)
	})
}

func setSchemaOwner(ctx context.Context, tx pgx.Tx, schema object) error {
	name, owner := schema.text("name"), schema.text("owner")
	purpose := fmt.Sprintf("changing the owner of schema %s to %s", name, owner)
	return execute(ctx, tx, purpose, "ALTER SCHEMA "+quote(name)+" OWNER TO "+quote(owner))
}

// deleteSchema refuses to drop a schema with something in it, unless dropCascade is in the state.
func (s *server) deleteSchema(ctx context.Context, schema object) error {
	name := schema.text("name")
	return s.transaction(ctx, schema.text("database"), func(tx pgx.Tx) error {
		exists, err := ask(ctx, tx, "looking for schema "+name, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", name)
		if err != nil || !exists {
			return err
		}
		behaviour := "RESTRICT"
		if schema.flag("dropCascade") {
			behaviour = "CASCADE"
		}
		return asOwners(ctx, tx, []string{schema.text("owner")}, func() error {
			return execute(ctx, tx, "dropping schema "+name, "DROP SCHEMA "+quote(name)+" "+behaviour)
		})
	})
}
