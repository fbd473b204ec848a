package tests

import (
	"maps"
	"slices"
	"testing"
)

// TestReviewFeatures does what TestReview does, for agents, limits, functions, extensions and readers
// that expire.
func TestReviewFeatures(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, true)
	chat := object{"chat": object{}}
	p.settings = withExtensions(`{"cube":{}}`)
	p.configure(t, object{"acme": object{"agents": chat, "executeFunctions": true, "statementTimeout": "15s"}}, object{}, object{"oncall": object{"validUntil": "2040-01-01T00:00:00Z"}})
	p.reviewed(t, "features-first", true)

	plain := object{"acme": object{}, "globex": object{}, "hooli": object{"agents": chat}, "initech": object{"agents": chat, "retire": "drop"}}
	p.settings = unprotected()
	p.configure(t, plain, object{}, object{"analyst": object{}})
	p.up(t)

	// Everything comes to a stack that has none of it, and a tenant goes with its agents.
	agents := object{
		"chat":    object{"connectionLimit": 3, "statementTimeout": "15s"},
		"reports": object{"name": "acme_reports", "logins": object{"active": "a"}},
	}
	full := object{
		"acme":   object{"agents": agents, "executeFunctions": true, "statementTimeout": "1min"},
		"globex": object{"logins": object{"active": "a"}, "idleInTransactionSessionTimeout": "1500ms", "agents": object{"sql": object{"suspended": true}}},
		"hooli":  object{"agents": chat, "suspended": true},
		"stark":  object{"agents": chat, "executeFunctions": true, "retire": "keep"},
		"wayne":  object{"agents": chat, "adopt": true, "executeFunctions": true},
	}
	readers := object{"analyst": object{"validUntil": "2040-01-01T00:00:00Z"}, "oncall": object{"validUntil": "2040-01-01T00:00:00Z", "logins": object{"active": "b"}}}
	roles := object{"app": object{"statementTimeout": "1h"}, "admin": object{"idleInTransactionSessionTimeout": "1d"}}
	p.settings = withExtensions(`{"cube":{},"hstore":{"version":"1.4"}}`)
	p.configure(t, full, roles, readers)
	p.reviewed(t, "features", true)
	p.up(t)

	cell := p.cell(t, "features", p)
	cell.configure(t, object{"soylent": object{"agents": chat}}, nil)
	cell.reviewed(t, "features-cell", true)

	// Each of them changes by itself.
	changed := object{
		"acme": object{"agents": object{
			"chat":    object{"connectionLimit": 3, "statementTimeout": "30s", "passwordVersion": 2},
			"reports": object{"name": "acme_reports", "logins": object{"active": "b"}},
			"sql":     object{"logins": object{"active": "a"}},
		}},
		"globex": object{"logins": object{"active": "a"}, "agents": object{"sql": object{}}, "executeFunctions": true},
		"hooli":  object{},
		"stark":  object{"agents": chat, "executeFunctions": true},
		"wayne":  object{"agents": chat, "adopt": true, "executeFunctions": true, "retire": "keep"},
	}
	p.settings = withExtensions(`{"hstore":{"version":"1.8"},"pg_trgm":{}}`)
	p.configure(t, changed, object{"app": object{"statementTimeout": "2h"}},
		object{"analyst": object{}, "oncall": object{"validUntil": "2041-06-01T00:00:00Z", "logins": object{"active": "b"}}})
	p.reviewed(t, "features-changes", true)

	// All of it goes.
	p.settings = unprotected()
	p.configure(t, object{"acme": object{}, "globex": object{}, "hooli": object{"agents": object{"chat": object{"suspended": true}}}, "wayne": object{}}, object{}, object{})
	p.reviewed(t, "features-gone", true)

	// The server differs.
	p.settings = withExtensions(`{"cube":{},"hstore":{"version":"1.4"}}`)
	p.configure(t, full, roles, readers)
	p.superuser(t, database).may(t,
		"ALTER ROLE tenant_acme_chat CONNECTION LIMIT 7",
		"ALTER ROLE tenant_acme SET search_path = public",
		"REVOKE USAGE ON SCHEMA extensions FROM all_tenants",
		"REVOKE USAGE ON SCHEMA tenant_acme FROM tenant_acme_agents",
		"DROP EXTENSION cube")
	p.reviewed(t, "features-drift", true, "--refresh")

	p.tellsNone(t, slices.Collect(maps.Values(p.passwords(t))))
}
