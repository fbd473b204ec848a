package review

import "fmt"

// kind is what happens to a tenant or to a shared role.
type kind int

// The summary shows them in this order, the greatest losses first.
const (
	replaced kind = iota
	removed
	emptied
	droppable
	retired
	moved
	suspended
	agentsLost
	unprotected
	resumed
	restored
	added
	agentsAdded
	adopted
	protected
	rotated
	alternating
	active
	limits
	functions
	repaired
	extensions
	databases
	shared
	other
)

// heading is the title of the changes of one kind, with a detail that the first line leaves out.
type heading struct{ title, detail string }

// headings are those of all kinds, in the order of the summary.
func headings() []heading {
	return []heading{
		replaced:    {"Replaced", "access or data is lost"},
		removed:     {"Tenants removed", ""},
		emptied:     {"Data dropped that tenants left", "they have moved"},
		droppable:   {"Data ready to be dropped", "retire: drop, previous: drop"},
		retired:     {"Tenants retired", "retire: keep"},
		moved:       {"Tenants moved", "to or from a database of their own"},
		suspended:   {"Tenants suspended", ""},
		agentsLost:  {"Agents removed or suspended", "read-only logins of one tenant"},
		unprotected: {"Data no longer protected", ""},
		resumed:     {"Tenants resumed", ""},
		restored:    {"Tenants that get their privileges back", ""},
		added:       {"Tenants added", ""},
		agentsAdded: {"Agents added or resumed", "read-only logins of one tenant"},
		adopted:     {"Tenants adopted", ""},
		protected:   {"Data protected", ""},
		rotated:     {"Passwords rotated", ""},
		alternating: {"Alternating logins", ""},
		active:      {"Active logins", "the logins that the outputs name"},
		limits:      {"Limits", "a login can change its timeouts"},
		functions:   {"Functions", "those with SECURITY DEFINER run with the privileges of their owner"},
		repaired:    {"Repaired", "created again, or set back to the config"},
		extensions:  {"Extensions", ""},
		databases:   {"Databases of tenants", ""},
		shared:      {"Shared roles and databases", ""},
		other:       {"Other changes", "read them in the preview itself"},
	}
}

func (h heading) String() string {
	if h.detail == "" {
		return h.title
	}
	return h.title + " (" + h.detail + ")"
}

// summary is the meaning of a preview.
type summary struct {
	stack string
	// refreshed is true if the preview compared the state with the server.
	refreshed bool
	// operations counts resources by operation.
	operations map[string]int
	// errors are those of a failed preview. Its changes are incomplete.
	errors  []string
	changes map[kind][]change
	// removed are the keys of the tenants that lose their schema or their database, or are removed. left
	// are those of tenants that lose what they left when they moved. Both are sorted.
	removed, left []string
	// tooMany is the reason to refuse the preview for those, empty if there is none.
	tooMany string
}

// change is a sentence about a tenant or a shared role.
type change struct{ who, what string }

// report adds a sentence to the summary.
func (s *summary) report(k kind, who, format string, args ...any) {
	s.changes[k] = append(s.changes[k], change{who, fmt.Sprintf(format, args...)})
}
