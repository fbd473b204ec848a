package tests

import (
	"maps"
	"slices"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
)

// TestReviewDatabases does what TestReview does, for tenants with databases of their own and for tenants
// that move.
func TestReviewDatabases(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, true)
	chat := object{"chat": object{}}
	keep, drop := object{"previous": "keep"}, object{"previous": "drop"}
	deployed := object{
		"acme": object{}, "globex": own(object{}), "hooli": own(object{"agents": chat}), "initech": own(object{"retire": "drop"}),
		"stark": own(keep), "umbrella": keep, "wayne": own(object{"database": object{"connectionLimit": 5}}), "oscorp": own(drop), "wonka": drop,
		"tyrell":    object{"agents": chat, "adopt": true, "executeFunctions": true, "schema": "its_data", "logins": object{"active": "a"}},
		"cyberdyne": object{},
	}
	extensions := func(value string) map[string]config.Value {
		return map[string]config.Value{"extensions": config.NewObjectValue(value)}
	}
	p.settings = extensions(`{"cube":{}}`)
	p.configure(t, deployed, object{})
	p.up(t)

	// Tenants move, those that have moved lose what was before, and others come and go.
	changed := maps.Clone(deployed)
	delete(changed, "initech")
	maps.Copy(changed, object{
		"acme": own(keep), "globex": keep, "hooli": own(object{"agents": chat, "retire": "keep"}),
		"stark": own(drop), "umbrella": drop, "wayne": own(object{"database": object{"connectionLimit": 9}}), "oscorp": own(object{}), "wonka": object{},
		"tyrell":    own(with(deployed["tyrell"].(object), "previous", "keep")),
		"cyberdyne": keep,
		"soylent":   own(object{"agents": chat, "executeFunctions": true, "retire": "keep"}),
		"weyland":   own(object{"agents": chat, "executeFunctions": true, "database": object{"name": "weyland", "connectionLimit": 9, "encoding": "UTF8", "lcCollate": "C"}}),
	})
	p.configure(t, changed, object{})
	p.reviewed(t, "databases", true)

	// They move back, and what was to be dropped stays.
	back := maps.Clone(deployed)
	maps.Copy(back, object{
		"stark": keep, "umbrella": own(keep), "hooli": own(object{"agents": chat, "retire": "drop"}), "initech": own(object{}),
		"oscorp": own(keep), "wonka": keep, "wayne": own(object{"suspended": true}), "globex": own(keep),
	})
	p.settings = extensions(`{"cube":{},"hstore":{}}`)
	p.configure(t, back, object{})
	p.reviewed(t, "databases-back", true)

	protected := maps.Clone(deployed)
	delete(protected, "globex")
	maps.Copy(protected, object{"acme": own(object{}), "wayne": object{}, "stark": own(object{})})
	p.settings = extensions(`{"cube":{}}`)
	p.configure(t, protected, object{})
	p.reviewed(t, "databases-protected", false)

	// The server differs.
	p.configure(t, deployed, object{})
	p.superuser(t, database).may(t,
		"ALTER DATABASE tenant_globex CONNECTION LIMIT 3",
		"GRANT CONNECT ON DATABASE tenant_globex TO PUBLIC",
		"REVOKE CONNECT ON DATABASE tenant_hooli FROM tenant_hooli, app_service_role",
		"GRANT all_tenants TO tenant_hooli")
	p.superuser(t, "tenant_hooli").may(t, "DROP EXTENSION cube")
	p.superuser(t, "tenant_globex").may(t, "DROP SCHEMA tenant_globex")
	p.reviewed(t, "databases-drift", true, "--refresh")

	// Without protection a schema goes at once if it is empty, a database never.
	p.settings = withExtensions(`{"cube":{}}`)
	p.configure(t, deployed, object{})
	p.up(t)
	p.configure(t, with(with(maps.Clone(deployed), "acme", own(object{})), "stark", own(object{})), object{})
	p.reviewed(t, "databases-unprotected", true)

	p.tellsNone(t, slices.Collect(maps.Values(p.passwords(t))))
}
