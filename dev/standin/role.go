package standin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// attribute is a property of a role that is one word of CREATE and ALTER ROLE.
type attribute struct{ property, on, off string }

func attributes() []attribute {
	return []attribute{
		{"superuser", "SUPERUSER", "NOSUPERUSER"},
		{"createDatabase", "CREATEDB", "NOCREATEDB"},
		{"createRole", "CREATEROLE", "NOCREATEROLE"},
		{"inherit", "INHERIT", "NOINHERIT"},
		{"login", "LOGIN", "NOLOGIN"},
		{"bypassRowLevelSecurity", "BYPASSRLS", "NOBYPASSRLS"},
		{"replication", "REPLICATION", "NOREPLICATION"},
	}
}

func (a attribute) sql(role object) string {
	if role.flag(a.property) {
		return a.on
	}
	return a.off
}

// timeout is a property of a role that is a setting in milliseconds, 0 for none.
type timeout struct{ property, setting string }

func timeouts() []timeout {
	return []timeout{
		{"statementTimeout", "statement_timeout"},
		{"idleInTransactionSessionTimeout", "idle_in_transaction_session_timeout"},
	}
}

// roles manages postgresql.Role. Nothing about a role replaces it, not even its name.
func roles(s *server) resourceType {
	properties := map[string]property{
		"name":            {required: true},
		"password":        {secret: true},
		"roles":           {kind: set},
		"searchPaths":     {kind: list},
		"assumeRole":      {},
		"connectionLimit": {kind: number, fallback: -1},
		"validUntil":      {fallback: "infinity"},
	}
	for _, t := range timeouts() {
		properties[t.property] = property{kind: number}
	}
	for _, a := range attributes() {
		properties[a.property] = property{kind: flag}
	}
	properties["inherit"] = property{kind: flag, fallback: true}
	return resourceType{
		properties: properties,
		id:         func(role object) string { return role.text("name") },
		parse: func(id string) (object, error) {
			role := object{}
			role.set("name", id)
			return role, nil
		},
		create: s.createRole,
		read:   s.readRole,
		update: s.updateRole,
		delete: s.deleteRole,
	}
}

// createRole spells out every attribute, also those that are off, and fails if the role exists.
func (s *server) createRole(ctx context.Context, role object) error {
	name := role.text("name")
	options := ""
	switch password := role.text("password"); {
	case strings.EqualFold(password, "NULL"):
		options = "PASSWORD NULL "
	case password != "":
		options = "ENCRYPTED PASSWORD " + literal(password) + " "
	}
	options += fmt.Sprintf("VALID UNTIL %s CONNECTION LIMIT %d", literal(role.text("validUntil")), role.number("connectionLimit"))
	for _, a := range attributes() {
		options += " " + a.sql(role)
	}
	return s.transaction(ctx, "", func(tx pgx.Tx) error {
		if err := execute(ctx, tx, "creating role "+name, "CREATE ROLE "+quote(name)+" WITH "+options); err != nil {
			return err
		}
		if err := grantRoles(ctx, tx, role); err != nil {
			return err
		}
		if err := setSearchPath(ctx, tx, role); err != nil {
			return err
		}
		if err := setTimeouts(ctx, tx, object{}, role); err != nil {
			return err
		}
		return setAssumedRole(ctx, tx, object{}, role)
	})
}

// updateRole alters what has changed and then, whatever that was, revokes every membership the
// role has on the server and grants those of the plan, without admin option. A role that got
// memberships from GrantRole loses them by any update, also if it ignores changes of its roles.
func (s *server) updateRole(ctx context.Context, prior, role object) error {
	name := role.text("name")
	return s.transaction(ctx, "", func(tx pgx.Tx) error {
		alter := func(property, change string) error {
			return execute(ctx, tx, fmt.Sprintf("changing %s of role %s", property, name), "ALTER ROLE "+quote(name)+" "+change)
		}
		if err := lockRole(ctx, tx, prior.text("name")); err != nil {
			return err
		}
		renamed := prior.text("name") != name
		if renamed {
			purpose := fmt.Sprintf("renaming role %s to %s", prior.text("name"), name)
			if err := execute(ctx, tx, purpose, "ALTER ROLE "+quote(prior.text("name"))+" RENAME TO "+quote(name)); err != nil {
				return err
			}
		}
		// If no password is given it stays as it was. NULL here is a password of four letters.
		if password := role.text("password"); password != "" && (renamed || password != prior.text("password")) {
			if err := alter("password", "PASSWORD "+literal(password)); err != nil {
				return err
			}
		}
		if until := role.text("validUntil"); until != prior.text("validUntil") {
			if err := alter("validUntil", "VALID UNTIL "+literal(until)); err != nil {
				return err
			}
		}
		if limit := role.number("connectionLimit"); limit != prior.number("connectionLimit") {
			if err := alter("connectionLimit", fmt.Sprintf("CONNECTION LIMIT %d", limit)); err != nil {
				return err
			}
		}
		for _, a := range attributes() {
			if a.sql(role) != a.sql(prior) {
				if err := alter(a.property, "WITH "+a.sql(role)); err != nil {
					return err
				}
			}
		}
		if err := revokeRoles(ctx, tx, name); err != nil {
			return err
		}
		if err := grantRoles(ctx, tx, role); err != nil {
			return err
		}
		if err := setSearchPath(ctx, tx, role); err != nil {
			return err
		}
		if err := setTimeouts(ctx, tx, prior, role); err != nil {
			return err
		}
		return setAssumedRole(ctx, tx, prior, role)
	})
}

// deleteRole gives what the role owns in the connected database to the connection's user and drops
// its privileges there. What it has in other databases makes DROP ROLE fail.
func (s *server) deleteRole(ctx context.Context, role object) error {
	name := role.text("name")
	return s.transaction(ctx, "", func(tx pgx.Tx) error {
		if err := lockRole(ctx, tx, name); err != nil {
			return err
		}
		err := asOwners(ctx, tx, []string{name}, func() error {
			reassign := "REASSIGN OWNED BY " + quote(name) + " TO " + quote(s.username)
			if err := execute(ctx, tx, "taking over what role "+name+" owns", reassign); err != nil {
				return err
			}
			return execute(ctx, tx, "dropping the privileges of role "+name, "DROP OWNED BY "+quote(name))
		})
		if err != nil {
			return err
		}
		return execute(ctx, tx, "dropping role "+name, "DROP ROLE "+quote(name))
	})
}

// readRole ends every create, update, refresh and import, and fails where a setting of the role is one
// that the official plugin cannot read. What was created or updated has happened by then.
func (s *server) readRole(ctx context.Context, state object) (object, error) {
	name := state.text("name")
	role := object{}
	err := s.transaction(ctx, "", func(tx pgx.Tx) error {
		values := make([]bool, len(attributes()))
		var limit int
		var until string
		var memberships, settings []string
		err := tx.QueryRow(ctx, `SELECT rolsuper, rolcreatedb, rolcreaterole, rolinherit, rolcanlogin, rolbypassrls, rolreplication,
				rolconnlimit, coalesce(rolvaliduntil::text, 'infinity'), coalesce(rolconfig, '{}'),
				ARRAY(SELECT DISTINCT pg_get_userbyid(roleid)::text FROM pg_auth_members WHERE member = pg_roles.oid ORDER BY 1)
			FROM pg_roles WHERE rolname = $1`, name).
			Scan(&values[0], &values[1], &values[2], &values[3], &values[4], &values[5], &values[6], &limit, &until, &settings, &memberships)
		if errors.Is(err, pgx.ErrNoRows) {
			role = nil
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading role %s: %w", name, err)
		}
		for i, a := range attributes() {
			role.set(a.property, values[i])
		}
		role.set("name", name)
		role.set("connectionLimit", limit)
		role.set("validUntil", until)
		if memberships, err = bytesIn(0, "array", memberships); err != nil {
			return err
		}
		if settings, err = bytesIn(9, "rolconfig", settings); err != nil {
			return err
		}
		for _, t := range timeouts() {
			milliseconds, err := timeoutIn(settings, t.setting)
			if err != nil {
				return err
			}
			role.set(t.property, milliseconds)
		}
		role.set("roles", memberships)
		role.set("searchPaths", searchPathIn(settings))
		role.set("assumeRole", assumedRoleIn(settings))
		if password := state.text("password"); password != "" {
			if password, err = s.readPassword(ctx, tx, role, password); err != nil {
				return err
			}
			role.set("password", password)
		}
		return nil
	})
	return role, err
}

// readPassword compares a password in the state with the server's, which only a superuser can see.
// If the settings say that the user is a superuser and it is not, this fails. It is the last step of
// creating a role, which is committed by then. A plaintext in the state is never compared with a SCRAM
// verifier on the server: only a verifier in the state shows drift.
func (s *server) readPassword(ctx context.Context, tx pgx.Tx, role object, known string) (string, error) {
	if !role.flag("login") || !s.superuser {
		return known, nil
	}
	superuser, err := ask(ctx, tx, "asking who is connected", "SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
	if err != nil {
		return "", err
	}
	if !superuser {
		return "", fmt.Errorf("could not read role password from Postgres: user %s is no superuser; set superuser to false for the provider", s.username)
	}
	var stored string
	err = tx.QueryRow(ctx, "SELECT coalesce(passwd, '') FROM pg_shadow WHERE usename = $1", role.text("name")).Scan(&stored)
	if err != nil {
		return "", fmt.Errorf("reading the password of role %s: %w", role.text("name"), err)
	}
	const scram = "SCRAM-SHA-256"
	if strings.HasPrefix(stored, scram) && !strings.HasPrefix(known, scram) && !strings.HasPrefix(known, "md5") {
		return known, nil
	}
	return stored, nil
}

// literal doubles backslashes although PostgreSQL takes them as they are: a password with one is
// set wrongly, by the official plugin too.
func literal(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", "''").Replace(text) + "'"
}

func revokeRoles(ctx context.Context, tx pgx.Tx, name string) error {
	rows, err := tx.Query(ctx, `SELECT pg_get_userbyid(roleid)::text FROM pg_auth_members WHERE pg_get_userbyid(member) = $1`, name)
	if err != nil {
		return fmt.Errorf("listing the memberships of role %s: %w", name, err)
	}
	memberships, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("listing the memberships of role %s: %w", name, err)
	}
	for _, role := range memberships {
		if err := revokeMembership(ctx, tx, name, role); err != nil {
			return err
		}
	}
	return nil
}

func grantRoles(ctx context.Context, tx pgx.Tx, role object) error {
	for _, granted := range sorted(role.texts("roles")) {
		if err := grantMembership(ctx, tx, role.text("name"), granted); err != nil {
			return err
		}
	}
	return nil
}

// setSearchPath always sets one: a search path from elsewhere does not survive an update.
func setSearchPath(ctx context.Context, tx pgx.Tx, role object) error {
	var schemas []string
	for _, schema := range role.texts("searchPaths") {
		if strings.Contains(schema, ", ") {
			return fmt.Errorf("search path of role %s: %q contains a comma and a space", role.text("name"), schema)
		}
		schemas = append(schemas, quote(schema))
	}
	path := "DEFAULT"
	if len(schemas) > 0 {
		path = strings.Join(schemas, ", ")
	}
	name := role.text("name")
	return execute(ctx, tx, "setting the search path of role "+name, "ALTER ROLE "+quote(name)+" SET search_path TO "+path)
}

func setAssumedRole(ctx context.Context, tx pgx.Tx, prior, role object) error {
	name, assumed := role.text("name"), role.text("assumeRole")
	if assumed == prior.text("assumeRole") {
		return nil
	}
	setting := "RESET ROLE"
	if assumed != "" {
		setting = "SET ROLE TO " + quote(assumed)
	}
	return execute(ctx, tx, "setting the role that "+name+" assumes", "ALTER ROLE "+quote(name)+" "+setting)
}

func setTimeouts(ctx context.Context, tx pgx.Tx, prior, role object) error {
	for _, t := range timeouts() {
		milliseconds := role.number(t.property)
		if milliseconds == prior.number(t.property) {
			continue
		}
		setting := "RESET " + t.setting
		if milliseconds != 0 {
			setting = fmt.Sprintf("SET %s TO %d", t.setting, milliseconds)
		}
		name := role.text("name")
		if err := execute(ctx, tx, "setting "+t.setting+" of role "+name, "ALTER ROLE "+quote(name)+" "+setting); err != nil {
			return err
		}
	}
	return nil
}
