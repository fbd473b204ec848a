package audit

import (
	"fmt"
	"time"

	"tenant-permissions/internal/config"
	"tenant-permissions/internal/policy"
)

// checkExtensions compares the extensions of the database with those of the stacks, and who can use
// their schema with the policy.
func (s *system) checkExtensions(f *findings) {
	for _, name := range sortedKeys(s.extensions) {
		want, has := s.extensions[name], s.installed[name]
		found := Finding{Rule: ruleExtension, Object: name}
		switch {
		case has.schema == "":
			found.Text, found.Fix = "the stack has the extension "+name+", but the database does not", "pulumi up --refresh"
		case has.schema != s.extensionSchema:
			found.Text = "the extension " + name + " is in the schema " + has.schema + ", not in " + s.extensionSchema
			found.Fix = "ALTER EXTENSION " + quoted(name) + " SET SCHEMA " + quoted(s.extensionSchema)
		case want != "" && want != has.version:
			found.Text, found.Fix = "the extension "+name+" has version "+has.version+", the config says "+want, "pulumi up --refresh"
		default:
			continue
		}
		f.violation(found)
	}
	if schema := s.schemas[s.extensionSchema]; schema != nil {
		s.checkHolds(f, schema, s.onExtensionSchema(), map[policy.Role]string{
			policy.App: ruleExtensionSchema, policy.AllTenants: ruleExtensionSchema, policy.Tenant: ruleExtensionSchema, policy.Agents: ruleExtensionSchema,
		})
	}
}

// checkLimits compares the connection limits and the expiry of logins with the config. Timeouts are
// settings.
func (s *system) checkLimits(f *findings) {
	for _, name := range sortedKeys(s.limits) {
		r, want := s.byName[name], s.limits[name]
		if r == nil {
			continue // role-missing
		}
		if r.connectionLimit != want.ConnectionLimit {
			f.note(Finding{
				Rule: ruleLimit, Tenant: s.tenantOf[r.oid], Subject: name,
				Text: fmt.Sprintf("its connection limit is %d, the config says %d", r.connectionLimit, want.ConnectionLimit), Fix: "pulumi up --refresh",
			})
		}
		if want.ValidUntil.IsZero() {
			continue
		}
		found := Finding{Rule: ruleExpiry, Subject: name, Fix: fmt.Sprintf("ALTER ROLE %s VALID UNTIL '%s'", quoted(name), config.Expiry(want.ValidUntil))}
		switch {
		case r.validUntil.IsZero():
			found.Text = "it does not expire, the config says " + want.ValidUntil.Format(time.RFC3339)
			f.violation(found)
		case r.validUntil.After(want.ValidUntil):
			found.Text = "it expires at " + r.validUntil.UTC().Format(time.RFC3339) + ", the config says " + want.ValidUntil.Format(time.RFC3339)
			f.violation(found)
		case r.validUntil.Before(s.now):
			found.Text, found.Fix = "it has expired", ""
			f.note(found)
		}
	}
}
