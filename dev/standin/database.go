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

// databases manages postgresql.Database. Owner, tablespace and connection limit change in place; an
// owner other than the connection's user is not implemented.
func databases(s *server) resourceType {
	return resourceType{
		properties: map[string]property{
			"name":             {required: true},
			"owner":            {computed: true, output: true},
			"template":         {computed: true, replaces: true},
			"encoding":         {computed: true, replaces: true},
			"lcCollate":        {computed: true, replaces: true},
			"lcCtype":          {computed: true, replaces: true},
			"tablespaceName":   {computed: true},
			"connectionLimit":  {kind: number, fallback: -1},
			"allowConnections": {kind: flag, fallback: true},
			"isTemplate":       {kind: flag, computed: true},
		},
		id: func(database object) string { return database.text("name") },
		parse: func(id string) (object, error) {
			database := object{}
			database.set("name", id)
			return database, nil
		},
		create: s.createDatabase,
		read:   s.readDatabase,
		update: s.updateDatabase,
		delete: s.deleteDatabase,
	}
}

// createDatabase fails if the database exists. Nothing of it happens in a transaction.
func (s *server) createDatabase(ctx context.Context, database object) error {
	name := database.text("name")
	database.set("template", cmp.Or(database.text("template"), "template0"))
	sql := fmt.Sprintf("CREATE DATABASE %s OWNER %s TEMPLATE %s ENCODING %s", quote(name), quote(s.username),
		quote(database.text("template")), literal(cmp.Or(database.text("encoding"), "UTF8")))
	for _, option := range []struct{ property, sql string }{{"lcCollate", "LC_COLLATE"}, {"lcCtype", "LC_CTYPE"}} {
		if value := database.text(option.property); value != "" {
			sql += " " + option.sql + " " + literal(value)
		}
	}
	if tablespace := database.text("tablespaceName"); tablespace != "" {
		sql += " TABLESPACE " + quote(tablespace)
	}
	sql += fmt.Sprintf(" ALLOW_CONNECTIONS %t CONNECTION LIMIT %d IS_TEMPLATE %t",
		database.flag("allowConnections"), database.number("connectionLimit"), database.flag("isTemplate"))
	return s.outsideTransaction(ctx, "creating database "+name, sql)
}

func (s *server) readDatabase(ctx context.Context, state object) (object, error) {
	database := maps.Clone(state)
	err := s.transaction(ctx, "", func(tx pgx.Tx) error {
		var owner, encoding, collate, ctype, tablespace string
		var limit int
		var allow, template bool
		err := tx.QueryRow(ctx, `SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype, spcname, datconnlimit, datallowconn, datistemplate
			FROM pg_database JOIN pg_tablespace ts ON ts.oid = dattablespace WHERE datname = $1`, state.text("name")).
			Scan(&owner, &encoding, &collate, &ctype, &tablespace, &limit, &allow, &template)
		if errors.Is(err, pgx.ErrNoRows) {
			database = nil
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading database %s: %w", state.text("name"), err)
		}
		for property, value := range map[string]any{
			"owner": owner, "encoding": encoding, "lcCollate": collate, "lcCtype": ctype, "tablespaceName": tablespace,
			"connectionLimit": limit, "allowConnections": allow, "isTemplate": template, "template": cmp.Or(state.text("template"), "template0"),
		} {
			database.set(property, value)
		}
		return nil
	})
	return database, err
}

func (s *server) updateDatabase(ctx context.Context, prior, database object) error {
	name := database.text("name")
	if before := prior.text("name"); before != name {
		if err := s.outsideTransaction(ctx, fmt.Sprintf("renaming database %s to %s", before, name), "ALTER DATABASE "+quote(before)+" RENAME TO "+quote(name)); err != nil {
			return err
		}
	}
	var changes []string
	if tablespace := database.text("tablespaceName"); tablespace != prior.text("tablespaceName") {
		changes = append(changes, "SET TABLESPACE "+quote(tablespace))
	}
	if limit := database.number("connectionLimit"); limit != prior.number("connectionLimit") {
		changes = append(changes, fmt.Sprintf("CONNECTION LIMIT = %d", limit))
	}
	for property, option := range map[string]string{"allowConnections": "ALLOW_CONNECTIONS", "isTemplate": "IS_TEMPLATE"} {
		if database.flag(property) != prior.flag(property) {
			changes = append(changes, fmt.Sprintf("%s %t", option, database.flag(property)))
		}
	}
	for _, change := range changes {
		purpose := "changing " + strings.Fields(change)[0] + " of database " + name
		if err := s.outsideTransaction(ctx, purpose, "ALTER DATABASE "+quote(name)+" "+change); err != nil {
			return err
		}
	}
	return nil
}

// deleteDatabase lets nobody in any more, ends all sessions, and drops the database with all that is in
// it. If a session cannot be ended, the database stays, and nobody can connect to it.
func (s *server) deleteDatabase(ctx context.Context, database object) error {
	name := database.text("name")
	return s.transaction(ctx, "", func(lock pgx.Tx) error {
		if err := lockRole(ctx, lock, s.username); err != nil {
			return err
		}
		if database.flag("isTemplate") {
			if err := s.outsideTransaction(ctx, "changing IS_TEMPLATE of database "+name, "ALTER DATABASE "+quote(name)+" IS_TEMPLATE false"); err != nil {
				return err
			}
		}
		if err := s.outsideTransaction(ctx, "blocking connections to database "+name, "ALTER DATABASE "+quote(name)+" ALLOW_CONNECTIONS false"); err != nil {
			return err
		}
		terminate := "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = " + literal(name) + " AND pid <> pg_backend_pid()"
		if err := s.outsideTransaction(ctx, "terminating the connections to database "+name, terminate); err != nil {
			return err
		}
		return s.outsideTransaction(ctx, "dropping database "+name, "DROP DATABASE "+quote(name)+" WITH (FORCE)")
	})
}

// outsideTransaction runs a statement that PostgreSQL refuses within a transaction.
func (s *server) outsideTransaction(ctx context.Context, purpose, sql string) error {
	config, err := s.config(s.database)
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connecting to PostgreSQL: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", purpose, err)
	}
	return nil
}
