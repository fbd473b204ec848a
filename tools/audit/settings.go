package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/jackc/pgx/v5"

	"tenant-permissions/internal/config"
	"tenant-permissions/tools/connect"
)

// otherSetting is a setting of a managed role that is not as the stacks make it: one that they do not
// make, one with another value, or one that is gone.
type otherSetting struct {
	setting
	// configured is the value that the stacks give, "" if they give none.
	configured string
	// blocks says why the provider cannot read the role, "" if it can.
	blocks string
}

// otherSettings are those of all managed roles, by role, name and database. A role may always change
// its own settings (ALTER ROLE CURRENT_USER SET), and nothing in PostgreSQL forbids it that.
func (s *system) otherSettings() []otherSetting {
	var others []otherSetting
	found := map[oid]map[string]bool{} // the configured settings that are there
	for _, set := range s.settings {
		if !s.managed(set.role) {
			continue
		}
		other := otherSetting{setting: set, blocks: unreadable(set)}
		if set.database == "" {
			other.configured = s.configured[set.role][set.name]
		}
		if _, limited := s.limits[s.name(set.role)]; !limited && isTimeout(set.name) && set.database == "" && other.blocks == "" {
			continue // the outputs do not say what the config gives
		}
		if other.configured != "" {
			if found[set.role] == nil {
				found[set.role] = map[string]bool{}
			}
			found[set.role][set.name] = true
			if other.configured == unquoted(set.value) {
				continue
			}
		}
		others = append(others, other)
	}
	for _, id := range slices.Sorted(maps.Keys(s.configured)) {
		for _, name := range sortedKeys(s.configured[id]) {
			if !found[id][name] {
				others = append(others, otherSetting{setting: setting{role: id, name: name}, configured: s.configured[id][name]})
			}
		}
	}
	slices.SortStableFunc(others, func(a, b otherSetting) int { return strings.Compare(s.name(a.role), s.name(b.role)) })
	return others
}

// unquoted are the names of a setting such as search_path without the quotes that PostgreSQL puts around
// single names. A comma within quotes is part of a name, and then a quote is left.
func unquoted(value string) string {
	names := strings.Split(value, ",")
	for i, name := range names {
		name = strings.TrimSpace(name)
		if inner, ok := strings.CutPrefix(name, `"`); ok && strings.HasSuffix(inner, `"`) {
			name = strings.TrimSuffix(inner, `"`)
		}
		names[i] = name
	}
	return strings.Join(names, ", ")
}

// unreadable says why the provider cannot read a role with this setting. It reads all settings of a
// role at every refresh and after every change, as an array in which it does not expect a backslash,
// and takes two timeouts for plain numbers (pulumi-postgresql 3.18.0). It does not read settings that
// are limited to a database.
func unreadable(s setting) string {
	if s.database != "" {
		return ""
	}
	if strings.Contains(s.value, `\`) {
		return "its value has a backslash"
	}
	if isTimeout(s.name) {
		if _, err := strconv.Atoi(s.value); err != nil {
			return "its value is not a plain number of milliseconds"
		}
	}
	return ""
}

// isTimeout reports whether a setting is one of the limits that the config gives logins.
func isTimeout(name string) bool {
	return name == "statement_timeout" || name == "idle_in_transaction_session_timeout"
}

// describe is what is wrong with a setting, without its value.
func (o otherSetting) describe() string {
	text := "the config does not give " + o.name
	if o.configured != "" {
		text = "the config gives " + o.name + " another value"
	}
	if o.database != "" {
		text += " in the database " + o.database
	}
	if o.blocks != "" {
		text += "; " + o.blocks + ", so every refresh fails, and every change of this role"
	}
	return text
}

// fix is the SQL that makes a setting what the config says.
func (s *system) fix(o otherSetting) string {
	alter := "ALTER ROLE " + quoted(s.name(o.role))
	if o.database != "" {
		alter += " IN DATABASE " + quoted(o.database)
	}
	if o.configured != "" {
		var values []string
		for _, value := range strings.Split(o.configured, ", ") {
			if _, err := strconv.Atoi(value); err != nil {
				value = quoted(value)
			}
			values = append(values, value)
		}
		return alter + " SET " + o.name + " TO " + strings.Join(values, ", ")
	}
	return alter + " RESET " + settingName(o.name)
}

// settingName is a setting's name as SQL takes it: an extension's has a dot, of which each side is a
// name.
func settingName(name string) string {
	parts := strings.Split(name, ".")
	for i := range parts {
		parts[i] = quoted(parts[i])
	}
	return strings.Join(parts, ".")
}

// checkSettings reports settings of roles that are not as the stacks make them. It is a violation if
// the provider fails on one, or if a login acts as another role; otherwise it is a note.
func (s *system) checkSettings(f *findings) {
	for _, o := range s.otherSettings() {
		found := Finding{Rule: ruleSetting, Tenant: s.tenantOf[o.role], Subject: s.name(o.role), Object: o.name, Text: s.name(o.role) + ": " + o.describe(), Fix: s.fix(o)}
		switch {
		case o.blocks != "":
			found.Rule = ruleSettingBlocks
			f.violation(found)
		case o.name == "role":
			found.Rule, found.vague = ruleSettingRole, true // it does not say which role
			found.Text = s.name(o.role) + " acts as another role than the stacks say"
			f.violation(found)
		default:
			f.note(found)
		}
	}
}

// What Settings can reset.
const (
	ResetNothing  = ""
	ResetBlocking = "blocking" // what stops runs
	ResetAll      = "all"
)

// Settings lists the settings of the stacks' roles that are not as the config has them, and resets
// them on demand. If a role is given, the list is of that role and of its logins. Settings returns
// ErrViolations if settings remain that stop runs.
func Settings(ctx context.Context, source *connect.Source, reset, role string, out io.Writer) error {
	if !slices.Contains([]string{ResetNothing, ResetBlocking, ResetAll}, reset) {
		return fmt.Errorf("--reset %q is not accepted: give %s or %s", reset, ResetBlocking, ResetAll)
	}
	return connected(ctx, source, true, func(conn *pgx.Conn, s *system) error {
		others := s.otherSettings()
		if role != "" {
			ids, err := s.withLogins(role)
			if err != nil {
				return fmt.Errorf("--role: %w", err)
			}
			others = slices.DeleteFunc(others, func(o otherSetting) bool { return !slices.Contains(ids, o.role) })
		}
		return s.resetSettings(ctx, conn, out, others, reset)
	})
}

// resetSettings writes a line for each setting, and resets those that are to be. Each is altered by
// itself: what may not be altered stops nothing else.
func (s *system) resetSettings(ctx context.Context, conn *pgx.Conn, stdout io.Writer, others []otherSetting, reset string) error {
	if len(others) == 0 {
		_, err := fmt.Fprintln(stdout, "Every setting of the stacks' roles is as the config has it.")
		return err
	}
	var failed []error
	blocking := 0
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	for _, o := range others {
		done := ""
		if reset == ResetAll || reset == ResetBlocking && o.blocks != "" {
			done = "reset: "
			if _, err := conn.Exec(ctx, s.fix(o)); err != nil {
				done = "NOT reset: "
				failed = append(failed, fmt.Errorf("%s: %w", s.fix(o), err))
			}
		}
		if o.blocks != "" && done != "reset: " {
			blocking++
		}
		fmt.Fprintf(table, "%s\t%s\t%s%s\n", s.name(o.role), o.name, done, o.describe())
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(failed) > 0 {
		return fmt.Errorf("%s could not be reset; reset them as a superuser:\n%w", count(len(failed), "setting"), errors.Join(failed...))
	}
	if blocking > 0 {
		verb := "stops"
		if blocking > 1 {
			verb = "stop"
		}
		return fmt.Errorf("%s %s runs; reset them with --reset %s: %w", count(blocking, "setting"), verb, ResetBlocking, ErrViolations)
	}
	return nil
}

// withLogins are a managed role and the logins that act as it, by the role's name.
func (s *system) withLogins(name string) ([]oid, error) {
	role := s.byName[name]
	if role == nil || !s.managed(role.oid) {
		return nil, fmt.Errorf("%s is not a role of these stacks; give the name of a tenant's role, of a reader, of the app or of the admin's login", config.Show(name))
	}
	ids := []oid{role.oid}
	for _, suffix := range config.AlternatingSuffixes() {
		if login := s.byName[name+"_"+suffix]; login != nil && s.managed(login.oid) && s.isMember(role.oid, login.oid) {
			ids = append(ids, login.oid)
		}
	}
	return ids, nil
}
