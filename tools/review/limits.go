package review

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"tenant-permissions/internal/config"
)

// loginLimit is a limit of a login.
type loginLimit struct {
	// input is that of a Role resource, and title what people call it.
	input, title string
	// text is a value in words.
	text func(value any) string
}

func loginLimits() []loginLimit {
	return []loginLimit{
		{"connectionLimit", "connection limit", sessions},
		{"statementTimeout", "statement timeout", duration},
		{"idleInTransactionSessionTimeout", "idle-in-transaction timeout", duration},
	}
}

// sessions is a connection limit in words. -1 is PostgreSQL's value for none.
func sessions(limit any) string {
	if limit == nil || limit == -1.0 {
		return "none"
	}
	return fmt.Sprint(limit)
}

// duration is a timeout in words, in the largest unit of PostgreSQL's settings in which it is a whole
// number. timeout is in milliseconds. 0 is PostgreSQL's value for none.
func duration(timeout any) string {
	milliseconds, ok := timeout.(float64)
	switch {
	case timeout == nil || ok && milliseconds == 0:
		return "none"
	case !ok || milliseconds != float64(int64(milliseconds)):
		return fmt.Sprint(timeout)
	}
	for _, unit := range []struct {
		name string
		ms   int64
	}{{"d", 86_400_000}, {"h", 3_600_000}, {"min", 60_000}, {"s", 1_000}} {
		if int64(milliseconds)%unit.ms == 0 {
			return fmt.Sprintf("%d%s", int64(milliseconds)/unit.ms, unit.name)
		}
	}
	return fmt.Sprintf("%dms", int64(milliseconds))
}

// limits are the limits of a new login, in brackets, and its expiry. They are empty if it has none.
func (s *step) limits() string {
	if s == nil {
		return ""
	}
	var all []string
	for _, limit := range loginLimits() {
		if text := limit.text(s.after(limit.input)); text != "none" {
			all = append(all, limit.title+" "+text)
		}
	}
	if until := s.input("validUntil"); until != "" && until != "infinity" {
		all = append(all, "password valid until "+until)
	}
	if len(all) == 0 {
		return ""
	}
	return " (" + strings.Join(all, ", ") + ")"
}

// validUntil is the input of a login for the expiry of its password.
func validUntil(login config.Login) string {
	if login.ValidUntil.IsZero() {
		return "infinity"
	}
	return login.ValidUntil.UTC().Format("2006-01-02 15:04:05Z")
}

// explainExpiry explains that the password of a reader, and of its alternating logins, expires at another
// time. Such a role is replaced by one that is the same otherwise, so what else changes is taken for an
// update.
func (l login) explainExpiry() {
	for _, prefix := range loginPrefixes() {
		s := l.steps[prefix+"role"]
		if s == nil || s.Op != "replace" || len(s.ReplaceReasons) > 0 || !s.is(l.want[prefix+"role"]) {
			continue
		}
		before, after := s.OldState.Inputs, s.NewState.Inputs
		all := maps.Clone(before)
		maps.Copy(all, after)
		for _, property := range slices.Sorted(maps.Keys(all)) {
			if !reflect.DeepEqual(before[property], after[property]) {
				s.changed[property] = true
			}
		}
		if !s.changed["validUntil"] || s.changed["name"] {
			continue
		}
		s.recreated = true
		s.explain("validUntil")
		l.report(limits, "the expiry of the password of %s changes from %s to %s; the role is created again with this password, without what others granted to it",
			s.input("name"), expiry(before["validUntil"]), expiry(after["validUntil"]))
	}
}

// expiry is the input validUntil in words.
func expiry(until any) string {
	if until == nil || until == "infinity" {
		return "never"
	}
	return fmt.Sprint(until)
}
