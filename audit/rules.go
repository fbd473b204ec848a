package main

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
)

// findings are what is wrong, and what is worth to know. Each has one cause: what is granted where
// it should not be, owned by whom it should not, or missing.
type findings struct {
	*system
	violations, notes []Finding
	// blamed are roles that a finding says reach too much; what others reach by way of them needs
	// no further one.
	blamed map[oid]bool
	// groups are objects with one and the same problem, whose text has a place for them; fixes are
	// those of the first of each.
	groups map[Finding][]string
	fixes  map[Finding]string
}

// them is the place of the objects in the text of a group.
const them = "\x00"

func (s *system) findings() (violations, notes []Finding) {
	f := &findings{system: s, violations: slices.Clone(s.missing), blamed: map[oid]bool{}, groups: map[Finding][]string{}, fixes: map[Finding]string{}}
	f.checkRoles()
	f.checkMemberships()
	f.checkOwned()
	f.checkObjects()
	f.checkDefaults()
	f.checkAccess()
	for finding, objects := range f.groups {
		finding.Fix = f.fixes[finding]
		finding.Text = strings.Replace(finding.Text, them, list(objects), 1)
		if finding.Object == "" {
			finding.Object = objects[0]
		}
		f.violations = append(f.violations, finding)
	}
	f.note()
	for _, all := range [][]Finding{f.violations, f.notes} {
		slices.SortFunc(all, func(a, b Finding) int {
			return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Object, b.Object), cmp.Compare(a.Text, b.Text))
		})
	}
	return f.violations, f.notes
}

// list names the first of many.
func list(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

func (f *findings) add(rule, tenant, subject, object, text, fix string) {
	f.violations = append(f.violations, Finding{Rule: rule, Tenant: tenant, Subject: subject, Object: object, Text: text, Fix: fix})
}

// group adds an object to the finding that is the same for it and others but for the fix.
func (f *findings) group(finding Finding, object string) {
	fix := finding.Fix
	finding.Fix = ""
	if _, known := f.groups[finding]; !known {
		f.fixes[finding] = fix
	}
	f.groups[finding] = append(f.groups[finding], object)
}

// checkRoles looks at the attributes of roles.
func (f *findings) checkRoles() {
	for _, id := range slices.Sorted(maps.Keys(f.roles)) {
		r := f.roles[id]
		var attributes []string
		for _, attribute := range []struct {
			name string
			has  bool
		}{{"SUPERUSER", r.super}, {"CREATEROLE", r.createRole}, {"CREATEDB", r.createDB}, {"REPLICATION", r.replication}, {"BYPASSRLS", r.bypassRLS}} {
			if attribute.has {
				attributes = append(attributes, attribute.name)
			}
		}
		f.md5Password(r)
		if f.noLogin[id] && r.login {
			f.add("login-unexpected", f.tenantOf[id], r.name, "", "it may log in, and is not to", "ALTER ROLE "+quoted(r.name)+" NOLOGIN")
		}
		rule := "tenant-attribute"
		switch f.kinds[id] {
		case KindTenant, KindTenantLogin, KindGroup:
		case KindApp, KindReader:
			rule = "app-attribute"
			// The app may be given this one in the config, of which the outputs say nothing.
			if r.name == f.app && r.bypassRLS {
				attributes = slices.DeleteFunc(attributes, func(name string) bool { return name == "BYPASSRLS" })
				f.notes = append(f.notes, Finding{Rule: "app-attribute", Subject: r.name, Text: "it has BYPASSRLS: right if the config has roles.app.bypassRowLevelSecurity"})
			}
		case KindAdmin:
			attributes = slices.DeleteFunc(attributes, func(name string) bool { return name == "CREATEROLE" || name == "CREATEDB" })
			if len(attributes) > 0 {
				f.notes = append(f.notes, Finding{Rule: "admin-attribute", Subject: r.name, Text: "it has " + strings.Join(attributes, " and ") + ": right if the config says so"})
			}
			continue
		default:
			continue
		}
		if len(attributes) > 0 {
			f.blamed[id] = true
			f.add(rule, f.tenantOf[id], r.name, "", "it has "+strings.Join(attributes, " and "),
				"ALTER ROLE "+quoted(r.name)+" NO"+strings.Join(attributes, " NO")+", or pulumi up --refresh")
		}
	}
}

func (f *findings) md5Password(r *role) {
	if f.managed(r.oid) && f.md5[r.oid] {
		f.add("md5-password", f.tenantOf[r.oid], r.name, "", "its password is stored as MD5, which the stack never does", "pulumi up --refresh")
	}
}

// checkMemberships compares who is a member of what with the design.
func (f *findings) checkMemberships() {
	for _, wanted := range slices.SortedFunc(maps.Keys(f.expected), func(a, b edge) int {
		return cmp.Or(cmp.Compare(f.name(a.role), f.name(b.role)), cmp.Compare(f.name(a.member), f.name(b.member)))
	}) {
		role, member := f.name(wanted.role), f.name(wanted.member)
		var of []membership
		for _, m := range f.edges[wanted.role] {
			if m.member == wanted.member {
				of = append(of, m)
			}
		}
		tenant := cmp.Or(f.tenantOf[wanted.role], f.tenantOf[wanted.member])
		admin := f.expected[wanted]
		hasAdmin := slices.ContainsFunc(of, func(m membership) bool { return m.admin })
		switch {
		case len(of) == 0:
			f.add("membership-missing", tenant, member, role, member+" is no member of "+role, "pulumi up --refresh")
		case admin && !hasAdmin:
			f.add("membership-missing", tenant, member, role, member+" is a member of "+role+" without the admin option", "pulumi up --refresh")
		case !admin && hasAdmin:
			rule := "membership-unexpected"
			if f.isTenant(wanted.member) {
				rule = "tenant-admin-option"
			}
			f.add(rule, tenant, member, role, member+" has the admin option on "+role+", and can make anybody a member", "REVOKE ADMIN OPTION FOR "+quoted(role)+" FROM "+quoted(member))
		case len(of) > 1:
			f.add("membership-twice", tenant, member, role,
				fmt.Sprintf("%s is a member of %s by grants of %s and %s: to revoke one of them changes nothing", member, role, f.name(of[0].grantor), f.name(of[1].grantor)),
				"REVOKE "+quoted(role)+" FROM "+quoted(member)+" GRANTED BY whoever is not the deploying user")
		}
	}
	for _, m := range f.members {
		if _, ok := f.expected[edge{m.role, m.member}]; ok || f.trusted(m.member) && !f.managed(m.member) {
			continue
		}
		role, member := f.name(m.role), f.name(m.member)
		// From PostgreSQL 16 on whoever creates a role has the admin option on it, so the admin on
		// those it creates.
		if f.kinds[m.member] == KindAdmin && f.kinds[m.role] == KindOther && m.admin {
			continue
		}
		tenant := cmp.Or(f.tenantOf[m.member], f.tenantOf[m.role])
		fix := "REVOKE " + quoted(role) + " FROM " + quoted(member)
		switch {
		case f.name(m.role) == f.allTenants || f.name(m.role) == f.allTenantsAdmin || f.name(m.member) == f.allTenantsAdmin:
			who := m.member
			if f.name(m.member) == f.allTenantsAdmin {
				who = m.role
			}
			f.blamed[m.member] = true
			if f.managed(who) {
				f.add("membership-unexpected", tenant, member, role, member+" is a member of "+role, fix)
				continue
			}
			f.group(Finding{Rule: "role-unknown", Subject: f.name(who), Text: f.name(who) + " is no role of these stacks, but " + them, Fix: "give the outputs of the cell that has it, or " + fix}, member+" is a member of "+role)
		case f.isTenant(m.member):
			f.blamed[m.member] = true
			rule := "membership-unexpected"
			if f.reachesOthers(m) {
				rule = "tenant-reaches-tenant"
			} else if m.admin {
				rule = "tenant-admin-option"
			}
			f.add(rule, f.tenantOf[m.member], member, role, member+" is a member of "+role, fix)
		case f.managed(m.member), f.managed(m.role):
			f.blamed[m.member] = true
			f.add("membership-unexpected", tenant, member, role, member+" is a member of "+role, fix)
		}
	}
}

// reachesOthers reports whether a membership of a tenant gives it anything of another tenant, or of
// all.
func (f *findings) reachesOthers(m membership) bool {
	for _, o := range f.objects {
		if o.kind != "schema" || f.tenantBySchema[o.schema] == nil || f.tenantBySchema[o.schema].Key == f.tenantOf[m.member] {
			continue
		}
		if _, ok := f.schemaAccess(o)[m.member]; ok {
			return true
		}
	}
	return false
}

// checkOwned looks for what roles own that are to own nothing.
func (f *findings) checkOwned() {
	for _, o := range f.owned {
		switch f.kinds[o.role] {
		case KindTenant, KindTenantLogin, KindGroup:
			f.blamed[o.role] = true
			f.group(Finding{
				Rule: "tenant-owns", Tenant: f.tenantOf[o.role], Subject: f.name(o.role),
				Text: f.name(o.role) + " owns " + them + ": it can drop it, alter it and grant it to others", Fix: "REASSIGN OWNED BY " + quoted(f.name(o.role)) + " TO " + quoted(f.admin),
			}, o.what)
		case KindApp, KindReader:
			f.group(Finding{
				Rule: "app-writes", Subject: f.name(o.role),
				Text: f.name(o.role) + " owns " + them, Fix: "REASSIGN OWNED BY " + quoted(f.name(o.role)) + " TO " + quoted(f.admin),
			}, o.what)
		}
	}
}

// checkObjects looks at who owns what, and at what is granted on it.
func (f *findings) checkObjects() {
	admin := f.byName[f.admin]
	seen := map[string]bool{}
	for _, o := range f.objects {
		tenant := f.tenantBySchema[o.schema]
		switch {
		case o.kind == "schema" && tenant != nil:
			seen[o.schema] = true
			if admin != nil && o.owner != admin.oid {
				f.blamed[o.owner] = true
				f.add("schema-owner", tenant.Key, f.name(o.owner), o.schema, f.name(o.owner)+" owns the schema, and can drop all that is in it",
					"ALTER SCHEMA "+quoted(o.schema)+" OWNER TO "+quoted(f.admin))
			}
		case o.kind == "schema" && admin != nil && o.owner == admin.oid && o.schema != "public":
			f.add("schema-unknown", "", "", o.schema, "the admin owns it, and it is no tenant's of these stacks", "give the outputs of the cell that has it, or DROP SCHEMA "+quoted(o.schema))
		case tenant != nil && admin != nil && o.owner != admin.oid && !f.ownerIsBlamed(o):
			f.blamed[o.owner] = true
			f.group(Finding{
				Rule: "object-owner", Tenant: tenant.Key, Subject: f.name(o.owner),
				Text: f.name(o.owner) + " owns " + them + ", so the default privileges of the admin do not hold there",
				Fix:  "REASSIGN OWNED BY " + quoted(f.name(o.owner)) + " TO " + quoted(f.admin),
			}, o.String())
		}
		f.checkGrants(o, tenant)
		if tenant != nil {
			f.checkUse(o, tenant)
		}
	}
	for i := range f.tenants {
		if t := &f.tenants[i]; !seen[t.Schema] {
			f.add("schema-missing", t.Key, "", t.Schema, "the stack has the schema "+t.Schema+", the server has not", "pulumi up --refresh")
		}
	}
}

// ownerIsBlamed reports whether another rule says of an owner that it owns too much.
func (f *findings) ownerIsBlamed(o *object) bool {
	switch f.kinds[o.owner] {
	case KindTenant, KindTenantLogin, KindGroup, KindApp, KindReader:
		return true
	default:
		return false
	}
}

// checkGrants looks at what is granted on an object beyond the design.
func (f *findings) checkGrants(o *object, tenant *Tenant) {
	for _, p := range slices.Concat(f.acls[o.acl], o.columns) {
		who, what := f.name(p.grantee), p.name
		if p.column != "" {
			what += " (" + quoted(p.column) + ")"
		}
		fix := "REVOKE " + what + " ON " + quotedObject(o) + " FROM " + quoted(who)
		if o.definer && p.grantee != o.owner {
			f.add("security-definer", tenant.Key, who, o.String(), who+" can execute it with the rights of "+f.name(o.owner)+", and it sets no search_path",
				"ALTER "+quotedObject(o)+" SET search_path = pg_catalog")
		}
		if p.grantee == 0 {
			f.checkPublic(o, tenant, p, fix)
			continue
		}
		if p.grantee == o.owner || f.trusted(p.grantee) {
			continue
		}
		finding := Finding{Tenant: f.tenantOf[p.grantee], Subject: who, Text: who + " holds " + what + " on " + them, Fix: fix}
		switch kind := f.kinds[p.grantee]; {
		case f.isTenant(p.grantee) && (p.name == "CREATE" || p.name == "TEMPORARY") && p.column == "":
			finding.Rule = "tenant-creates"
			if p.name == "TEMPORARY" {
				finding.Rule = "tenant-temporary"
			}
		case f.managed(p.grantee) && p.grantable:
			finding.Rule, finding.Text = "tenant-grant-option", who+" holds "+what+" on "+them+" with grant option, and can hand it on"
		case f.isTenant(p.grantee) && tenant != nil && tenant.Key != f.tenantOf[p.grantee]:
			finding.Rule = "tenant-reaches-tenant"
			f.blamed[p.grantee] = true
		case o.schema == "" || tenant == nil: // the database, or a schema of no tenant
			if kind == KindOther || p.name == "CONNECT" || p.name == "USAGE" {
				continue
			}
			finding.Rule = "privilege-unexpected"
			if kind == KindApp || kind == KindReader {
				finding.Rule = "app-writes"
			}
		case kind == KindTenant || kind == KindTenantLogin:
			if f.tenantMay(o.kind, p.name) {
				continue
			}
			finding.Rule = "privilege-unexpected"
		case kind == KindApp || kind == KindReader:
			if p.name == "SELECT" || o.kind == "schema" && p.name == "USAGE" || o.kind == "function" {
				continue
			}
			finding.Rule, finding.Tenant = "app-writes", tenant.Key
		default:
			f.blamed[p.grantee] = true
			finding.Rule, finding.Tenant = "stranger-reaches-tenant", tenant.Key
		}
		// One finding for all objects of a tenant.
		finding.Object = cmp.Or(o.schema, o.name)
		f.group(finding, o.String())
	}
}

// tenantMay are the privileges of a tenant in its schema. EXECUTE on single functions is the
// migrations' to give.
func (f *findings) tenantMay(kind, privilege string) bool {
	switch kind {
	case "schema":
		return privilege == "USAGE"
	case "sequence":
		return privilege == "USAGE" || privilege == "SELECT"
	case "function":
		return true
	default:
		return slices.Contains([]string{"SELECT", "INSERT", "UPDATE", "DELETE"}, privilege)
	}
}

// checkPublic looks at what everybody holds.
func (f *findings) checkPublic(o *object, tenant *Tenant, p privilege, fix string) {
	finding := Finding{Subject: "PUBLIC", Object: o.String(), Text: "everybody holds " + p.name + " on " + them, Fix: fix}
	switch {
	case o.kind == "database":
		finding.Rule = "public-on-database"
	case o.kind == "schema" && o.schema == "public":
		finding.Rule = "public-on-schema-public"
	case tenant == nil:
		return // a schema that is none of the stacks'
	case o.kind == "function":
		finding.Rule, finding.Tenant, finding.Object = "public-on-functions", tenant.Key, o.schema
	default:
		finding.Rule, finding.Tenant, finding.Object = "public-on-tenant-schema", tenant.Key, o.schema
	}
	f.group(finding, o.String())
}

// checkUse looks for objects that the tenant cannot use or the app cannot read.
func (f *findings) checkUse(o *object, tenant *Tenant) {
	needs := map[string][]string{"schema": {"USAGE"}, "sequence": {"SELECT"}, "function": nil}
	need, ok := needs[o.kind]
	if !ok {
		need = []string{"SELECT"}
	}
	for _, check := range []struct {
		rule, role string
		privileges []string
	}{{"app-cannot-read", f.app, need}, {"tenant-cannot-use", tenant.Role, need}} {
		r := f.byName[check.role]
		if r == nil {
			continue
		}
		for _, privilege := range check.privileges {
			if f.inheritsPrivilege(r.oid, o, privilege) {
				continue
			}
			f.group(Finding{
				Rule: check.rule, Tenant: tenant.Key, Subject: check.role, Object: o.schema,
				Text: check.role + " lacks " + privilege + " on " + them,
				Fix:  "GRANT " + privilege + " ON " + quotedObject(o) + " TO " + quoted(check.role) + ", or adopt: true",
			}, o.String())
		}
	}
}

// inheritsPrivilege is what has_table_privilege and its like answer, but for owners: whether a role
// has the privilege without doing anything.
func (c *catalog) inheritsPrivilege(id oid, o *object, privilege string) bool {
	for _, h := range c.holds(o) {
		if h.privilege.name != privilege || h.privilege.column != "" {
			continue
		}
		if h.holder == 0 {
			return true
		}
		if way, ok := c.membersOf(h.holder)[id]; ok && way.strength == inherits {
			return true
		}
	}
	return false
}

// checkDefaults looks at the privileges on what will be created.
func (f *findings) checkDefaults() {
	admin := f.byName[f.admin]
	if admin == nil {
		return
	}
	type entry struct{ schema, objectType, grantee, privilege string }
	got, functions := map[entry]bool{}, false
	for _, d := range f.defaults {
		if d.role != admin.oid {
			if f.isTenant(d.role) || f.kinds[d.role] == KindApp || f.kinds[d.role] == KindReader {
				f.add("default-privileges-extra", f.tenantOf[d.role], f.name(d.role), d.schema, f.name(d.role)+" has default privileges of its own", "ALTER DEFAULT PRIVILEGES FOR ROLE "+quoted(f.name(d.role))+" …")
			}
			continue
		}
		functions = functions || d.schema == "" && d.objectType == "f"
		for _, p := range f.acls[d.acl] {
			if p.grantee != admin.oid {
				got[entry{d.schema, d.objectType, f.name(p.grantee), p.name}] = true
			}
		}
	}
	kinds := map[string]string{"n": "SCHEMAS", "r": "TABLES", "S": "SEQUENCES", "f": "FUNCTIONS", "T": "TYPES"}
	revoke := func(e entry) string {
		in := ""
		if e.schema != "" {
			in = " IN SCHEMA " + quoted(e.schema)
		}
		return "ALTER DEFAULT PRIVILEGES FOR ROLE " + quoted(f.admin) + in + " REVOKE " + e.privilege + " ON " + kinds[e.objectType] + " FROM " + quoted(e.grantee)
	}
	want := map[entry]string{
		{"", "n", f.app, "USAGE"}:  "",
		{"", "r", f.app, "SELECT"}: "",
		{"", "S", f.app, "SELECT"}: "",
	}
	for _, t := range f.tenants {
		if t.Role == "" || f.schemas[t.Schema] == nil {
			continue
		}
		for _, privilege := range []string{"SELECT", "INSERT", "UPDATE", "DELETE"} {
			want[entry{t.Schema, "r", t.Role, privilege}] = t.Key
		}
		for _, privilege := range []string{"USAGE", "SELECT"} {
			want[entry{t.Schema, "S", t.Role, privilege}] = t.Key
		}
	}
	sorted := func(entries iter.Seq[entry]) []entry {
		return slices.SortedFunc(entries, func(a, b entry) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	for _, e := range sorted(maps.Keys(want)) {
		if !got[e] {
			f.group(Finding{
				Rule: "default-privileges-missing", Tenant: want[e], Subject: e.grantee, Object: cmp.Or(e.schema, "all schemas"),
				Text: "what the admin creates will not have " + them, Fix: "pulumi up --refresh",
			}, e.privilege+" on "+strings.ToLower(kinds[e.objectType]))
		}
	}
	for _, e := range sorted(maps.Keys(got)) {
		if e.schema != "" && f.tenantBySchema[e.schema] == nil {
			continue // what is wrong there is the schema
		}
		if _, wanted := want[e]; wanted || e.grantee == "PUBLIC" && e.objectType == "T" || e.grantee == "PUBLIC" && e.objectType == "f" && e.schema == "" {
			continue
		}
		f.group(Finding{
			Rule: "default-privileges-extra", Subject: e.grantee, Object: cmp.Or(e.schema, "all schemas"),
			Text: e.grantee + " will hold " + them + " that the admin creates", Fix: revoke(e),
		}, e.privilege+" on "+strings.ToLower(kinds[e.objectType]))
	}
	if !functions || got[entry{"", "f", "PUBLIC", "EXECUTE"}] {
		f.add("public-on-functions", "", "PUBLIC", "all schemas", "everybody will hold EXECUTE on functions that the admin creates", "pulumi up --refresh")
	}
}

// checkAccess is what the rules above rest on: whoever reaches a tenant's schema in the end, by
// whatever way, and is not told of yet.
func (f *findings) checkAccess() {
	for _, o := range f.objects {
		tenant := f.tenantBySchema[o.schema]
		if tenant == nil || o.kind != "schema" {
			continue
		}
		for id, rights := range f.schemaAccess(o) {
			if id == 0 || f.expectedAccess(id, tenant.Key) || f.blamed[id] {
				continue
			}
			for _, right := range rightsOrder {
				g, has := rights[right]
				if !has || len(g.path) == 0 || slices.ContainsFunc(g.path, func(m membership) bool { return f.blamed[m.role] }) {
					continue
				}
				finding := Finding{Rule: "stranger-reaches-tenant", Subject: f.name(id), Text: f.name(id) + " reaches " + them + " as " + f.describe(g.path), Fix: "REVOKE " + quoted(f.name(g.path[0].role)) + " FROM " + quoted(f.name(id))}
				if f.isTenant(id) {
					finding.Rule, finding.Tenant = "tenant-reaches-tenant", f.tenantOf[id]
				}
				f.group(finding, o.String())
				break // one right is enough
			}
		}
	}
}

// expectedAccess reports whether the design lets a role into a tenant's schema.
func (s *system) expectedAccess(id oid, tenant string) bool {
	switch s.kinds[id] {
	case KindTenant, KindTenantLogin:
		return s.tenantOf[id] == tenant
	case KindApp, KindReader, KindPredefined:
		return true
	default:
		return s.trusted(id)
	}
}

// note tells what is worth to know.
func (f *findings) note() {
	add := func(rule, subject, text string) {
		f.notes = append(f.notes, Finding{Rule: rule, Subject: subject, Text: text})
	}
	if len(f.open) > 0 {
		add("other-databases", "PUBLIC", "tenants can connect to "+strings.Join(f.open, ", ")+": closedDatabases closes them")
	}
	if f.md5 == nil {
		add("not-checked", "", "passwords can be seen by superusers only, so none was checked for MD5")
	}
	if f.version < 15 {
		add("own-role", "", "before PostgreSQL 15 every login has the admin option on its own role, and can make others a member of it")
	}
	if admin := f.byName[f.admin]; f.version < 16 && admin != nil && admin.createRole {
		add("create-role", f.admin, "before PostgreSQL 16 CREATEROLE lets it join any role but a superuser")
	}
	for _, id := range slices.Sorted(maps.Keys(f.kinds)) {
		switch f.kinds[id] {
		case KindDeployer:
			add("deployer", f.name(id), "it owns the database, deploys the stacks and so can give itself anything")
		case KindSuperuser:
			add("superuser", f.name(id), "it can do everything")
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
