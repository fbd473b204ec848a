package audit

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
	// blamed are roles that a finding says reach too much, and told are such memberships; what
	// others reach by way of them needs no further one.
	blamed map[oid]bool
	told   map[edge]bool
	// groups are objects with one and the same problem, whose text has a place for them; fixes are
	// those of the first of each.
	groups map[Finding][]string
	fixes  map[Finding]string
	// grants are the objects on which one and the same is granted, or is not.
	grants map[grant][]*object
}

// grant is a finding about privileges on objects of one kind in one schema. Its text and its fix have
// a place for them.
type grant struct {
	Finding
	kind string
}

// them is the place of the objects in the text of a group.
const them = "\x00"

func (s *system) findings() (violations, notes []Finding) {
	f := &findings{
		system: s, violations: append([]Finding{}, s.missing...), notes: []Finding{}, blamed: map[oid]bool{}, told: map[edge]bool{},
		groups: map[Finding][]string{}, fixes: map[Finding]string{}, grants: map[grant][]*object{},
	}
	f.checkRoles()
	f.checkMemberships()
	f.checkOwned()
	f.checkObjects()
	f.checkDefaults()
	f.checkAccess()
	f.checkSettings()
	for finding, objects := range f.groups {
		finding.Fix = f.fixes[finding]
		finding.Text = strings.Replace(finding.Text, them, list(objects), 1)
		if finding.Object == "" {
			finding.Object = objects[0]
		}
		f.violations = append(f.violations, finding)
	}
	for grant, objects := range f.grants {
		f.violations = append(f.violations, grant.finding(objects))
	}
	f.note()
	for _, all := range [][]Finding{f.violations, f.notes} {
		slices.SortFunc(all, func(a, b Finding) int {
			return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Object, b.Object), cmp.Compare(a.Text, b.Text))
		})
	}
	return f.violations, f.notes
}

// finding is that of a grant, with its objects.
func (g grant) finding(objects []*object) Finding {
	var names []string
	for _, o := range objects {
		names = append(names, o.String())
	}
	on := quotedObject(objects[0])
	if len(objects) > 1 {
		on = "ALL " + g.kind + "S IN SCHEMA " + quoted(objects[0].schema)
	}
	g.Text, g.Fix = strings.Replace(g.Text, them, list(names), 1), strings.Replace(g.Fix, them, on, 1)
	return g.Finding
}

// addGrant adds an object to the finding that is the same for it and others.
func (f *findings) addGrant(finding Finding, o *object) {
	g := grant{finding, strings.ToUpper(kindGroup(o.kind))}
	f.grants[g] = append(f.grants[g], o)
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
		isAdmin := func(m membership) bool { return m.admin }
		hasAdmin := slices.ContainsFunc(of, isAdmin)
		inherits := slices.ContainsFunc(of, func(m membership) bool { return m.inherit })
		switch {
		case len(of) == 0:
			f.add("membership-missing", tenant, member, role, member+" is no member of "+role, "pulumi up --refresh")
		case admin && !hasAdmin:
			f.add("membership-missing", tenant, member, role, member+" is a member of "+role+" without the admin option", "pulumi up --refresh")
		case !inherits && (f.kinds[wanted.member] == KindTenant || f.kinds[wanted.member] == KindReader):
			fix := "ALTER ROLE " + quoted(member) + " INHERIT"
			if by := f.grantedBy(of[0]); by != "" {
				fix = "GRANT " + quoted(role) + " TO " + quoted(member) + " WITH INHERIT TRUE" + by
			}
			f.add("membership-missing", tenant, member, role, member+" is a member of "+role+", but does not inherit what that holds", fix)
		case !admin && hasAdmin:
			rule := "membership-unexpected"
			if f.isTenant(wanted.member) {
				rule = "tenant-admin-option"
			}
			f.add(rule, tenant, member, role, member+" has the admin option on "+role+", and can make anybody a member", "REVOKE ADMIN OPTION FOR "+quoted(role)+" FROM "+quoted(member)+f.grantedBy(of[slices.IndexFunc(of, isAdmin)]))
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
		// From PostgreSQL 16 on whoever creates a role has the admin option on it, so the admin on
		// those it creates.
		if f.kinds[m.member] == KindAdmin && f.kinds[m.role] == KindOther && m.admin {
			continue
		}
		if f.managed(m.member) || f.managed(m.role) {
			f.unexpected(m)
		}
	}
}

// unexpected tells of a membership that the design does not have.
func (f *findings) unexpected(m membership) {
	role, member := f.name(m.role), f.name(m.member)
	if f.told[edge{m.role, m.member}] {
		return // by another grantor
	}
	f.told[edge{m.role, m.member}] = true
	fix := "REVOKE " + quoted(role) + " FROM " + quoted(member) + f.grantedBy(m)
	stranger := m.member
	if member == f.allTenantsAdmin {
		stranger = m.role
	}
	if (role == f.allTenants || role == f.allTenantsAdmin || member == f.allTenantsAdmin) && !f.managed(stranger) {
		f.group(Finding{
			Rule: "role-unknown", Subject: f.name(stranger),
			Text: f.name(stranger) + " is no role of these stacks, but " + them, Fix: "in no outputs you gave: give those of another cell if it has it, or " + fix,
		}, member+" is a member of "+role)
		return
	}
	f.blamed[m.member] = true
	rule, tenant := "membership-unexpected", cmp.Or(f.tenantOf[m.member], f.tenantOf[m.role])
	if f.isTenant(m.member) {
		tenant = f.tenantOf[m.member]
		if f.reachesOthers(m) {
			rule = "tenant-reaches-tenant"
		} else if m.admin {
			rule = "tenant-admin-option"
		}
	}
	f.add(rule, tenant, member, role, member+" is a member of "+role, fix)
}

// reachesOthers reports whether a membership of a tenant gives it anything of another tenant, or of
// all.
func (f *findings) reachesOthers(m membership) bool {
	for _, power := range f.powers() {
		if _, ok := f.membersOf(power)[m.member]; ok {
			return true
		}
	}
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
				Fix:  "ALTER " + altered(o) + " OWNER TO " + quoted(f.admin) + ", then GRANT on it what the tenant and the app need",
			}, o.String())
		}
		f.checkGrants(o, tenant)
		f.checkShown(o)
		if tenant != nil && (o.kind == "schema" || admin != nil && o.owner == admin.oid) {
			f.checkUse(o, tenant)
		}
		if o.kind == "database" {
			f.checkConnect(o)
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
	found := map[Finding][]string{} // the privileges, by what they have in common
	for _, p := range slices.Concat(f.acls[o.acl], o.columns) {
		finding, broken := f.judge(o, tenant, p)
		if !broken {
			continue
		}
		finding.Subject, finding.Object = f.name(p.grantee), cmp.Or(o.schema, o.name)
		what := p.name
		if p.column != "" {
			what += " (" + quoted(p.column) + ")"
		}
		found[finding] = append(found[finding], what)
	}
	for finding, privileges := range found {
		who, option, what := finding.Subject, "", strings.Join(privileges, ", ")
		if who == "PUBLIC" {
			who = "everybody"
		}
		if finding.Rule == "tenant-grant-option" {
			option = "GRANT OPTION FOR "
		}
		finding.Text = who + " holds " + what + " on " + them + finding.Text
		finding.Fix = "REVOKE " + option + what + " ON " + them + " FROM " + quoted(finding.Subject)
		f.addGrant(finding, o)
	}
	f.checkDefiner(o, tenant)
}

// judge says which rule a privilege breaks, if any, whose it is, and what the text has after the
// privilege and the object.
func (f *findings) judge(o *object, tenant *Tenant, p privilege) (found Finding, broken bool) {
	creates := (o.kind == "database" || o.kind == "schema") && (p.name == "CREATE" || p.name == "TEMPORARY")
	if p.grantee == 0 {
		return f.judgePublic(o, tenant, creates)
	}
	if p.grantee == o.owner || f.trusted(p.grantee) {
		return found, false
	}
	found.Tenant = f.tenantOf[p.grantee]
	switch kind := f.kinds[p.grantee]; {
	case creates && f.isTenant(p.grantee):
		found.Rule = "tenant-creates"
		if p.name == "TEMPORARY" {
			found.Rule = "tenant-temporary"
		}
	case f.isTenant(p.grantee) && tenant != nil && tenant.Key != f.tenantOf[p.grantee]:
		found.Rule = "tenant-reaches-tenant"
		f.blamed[p.grantee] = true
	case f.managed(p.grantee) && p.grantable:
		found.Rule, found.Text = "tenant-grant-option", " with grant option, and can hand it on"
	case tenant == nil: // the database, or a schema of no tenant
		if kind == KindOther || p.name == "CONNECT" || p.name == "USAGE" || len(o.shows) > 0 {
			return found, false
		}
		found.Rule = "privilege-unexpected"
		if kind == KindApp || kind == KindReader {
			found.Rule = "app-writes"
		}
	case kind == KindTenant || kind == KindTenantLogin:
		if tenant.Retired == "" && f.tenantMay(o.kind, p.name) {
			return found, false
		}
		found.Rule = "privilege-unexpected"
		if tenant.Retired != "" {
			found.Text = ", and is retired"
		}
	case kind == KindApp || kind == KindReader:
		if p.name == "SELECT" || o.kind == "schema" && p.name == "USAGE" || o.kind == "function" {
			return found, false
		}
		found.Rule, found.Tenant = "app-writes", tenant.Key
	default:
		f.blamed[p.grantee] = true
		found.Rule, found.Tenant = "stranger-reaches-tenant", tenant.Key
	}
	return found, true
}

// judgePublic is judge for what everybody holds.
func (f *findings) judgePublic(o *object, tenant *Tenant, creates bool) (found Finding, broken bool) {
	switch {
	case o.kind == "database":
		found.Rule = "public-on-database"
	case o.kind == "schema" && o.schema == "public":
		found.Rule = "public-on-schema-public"
	case tenant == nil:
		found.Rule, found.Text = "tenant-creates", ", tenants among them"
		return found, creates
	case o.kind == "function":
		found.Rule, found.Tenant = "public-on-functions", tenant.Key
	default:
		found.Rule, found.Tenant = "public-on-tenant-schema", tenant.Key
	}
	return found, true
}

// checkDefiner looks for functions that run with the rights of their owner and let the caller choose
// what the names in them mean.
func (f *findings) checkDefiner(o *object, tenant *Tenant) {
	if !o.definer {
		return
	}
	var callers []string
	for _, p := range f.acls[o.acl] {
		if p.grantee != o.owner {
			callers = append(callers, f.name(p.grantee))
		}
	}
	text := strings.Join(callers, " and ") + " can execute it with the rights of " + f.name(o.owner)
	switch {
	case len(callers) == 0:
	case o.ownPath:
		f.notes = append(f.notes, Finding{Rule: "security-definer", Tenant: tenant.Key, Subject: callers[0], Object: o.String(), Text: text + ", and it sets its search_path: right if it checks what it is asked for"})
	default:
		f.add("security-definer", tenant.Key, callers[0], o.String(), text+", and it sets no search_path", "ALTER "+quotedObject(o)+" SET search_path = pg_catalog")
	}
}

// checkShown looks at who can read, by way of a view for instance, what is in another schema.
func (f *findings) checkShown(o *object) {
	var shown []*object
	for _, of := range o.shows {
		if owner := f.roles[o.owner]; owner != nil && (owner.super || f.trusted(o.owner) || f.inheritsPrivilege(o.owner, of, "SELECT")) {
			shown = append(shown, of)
		}
	}
	told := map[oid]bool{}
	for _, p := range slices.Concat(f.acls[o.acl], o.columns) {
		if p.grantee == o.owner || told[p.grantee] {
			continue
		}
		told[p.grantee] = true
		var names []string
		for _, of := range shown {
			if !f.expectedAccess(p.grantee, f.tenantBySchema[of.schema].Key) {
				names = append(names, of.String())
			}
		}
		if len(names) == 0 {
			continue
		}
		who := f.name(p.grantee)
		rule := "stranger-reaches-tenant"
		if f.isTenant(p.grantee) || p.grantee == 0 {
			rule = "tenant-reaches-tenant"
		}
		f.blamed[p.grantee] = true
		f.add(rule, f.tenantOf[p.grantee], who, o.String(),
			who+" holds privileges on the "+o.kind+" "+o.String()+", which shows "+list(names)+" with the rights of "+f.name(o.owner),
			"REVOKE ALL ON "+quotedObject(o)+" FROM "+quoted(who)+", or from PostgreSQL 15 on let a view have security_invoker")
	}
}

// checkConnect looks for roles that cannot get into the database.
func (f *findings) checkConnect(o *object) {
	for _, check := range []struct{ rule, role string }{
		{"app-cannot-read", f.app}, {"admin-cannot-connect", f.admin}, {"tenant-cannot-use", f.allTenants},
	} {
		if r := f.byName[check.role]; r != nil && !r.super && !f.inheritsPrivilege(r.oid, o, "CONNECT") {
			f.add(check.rule, "", r.name, o.name, r.name+" lacks CONNECT on "+o.name, "pulumi up --refresh")
		}
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

// checkUse looks for objects that the tenant cannot use or the app cannot read. Who may write which
// table is the migrations' to decide.
func (f *findings) checkUse(o *object, tenant *Tenant) {
	app, own := []string{"SELECT"}, []string{"SELECT"}
	switch o.kind {
	case "schema":
		app, own = []string{"USAGE"}, []string{"USAGE"}
	case "sequence":
		own = []string{"USAGE", "SELECT"} // USAGE for serial columns
	case "function":
		return
	}
	for _, check := range []struct {
		rule, role string
		privileges []string
	}{{"app-cannot-read", f.app, app}, {"tenant-cannot-use", tenant.Role, own}} {
		r := f.byName[check.role]
		if r == nil || len(o.shows) > 0 && check.role == tenant.Role {
			continue // a tenant is not to read what shows another's data
		}
		var lacks []string
		for _, privilege := range check.privileges {
			if !f.inheritsPrivilege(r.oid, o, privilege) {
				lacks = append(lacks, privilege)
			}
		}
		if len(lacks) > 0 {
			f.addGrant(Finding{
				Rule: check.rule, Tenant: tenant.Key, Subject: check.role, Object: o.schema,
				Text: check.role + " lacks " + strings.Join(lacks, ", ") + " on " + them,
				Fix:  "GRANT " + strings.Join(lacks, ", ") + " ON " + them + " TO " + quoted(check.role) + ", or adopt: true",
			}, o)
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
	type entry struct {
		schema, objectType, grantee, privilege string
		grantable                              bool
	}
	got, functions := map[entry]bool{}, false
	for _, d := range f.defaults {
		if d.role != admin.oid {
			if kind := f.kinds[d.role]; f.isTenant(d.role) || kind == KindGroup || kind == KindApp || kind == KindReader {
				f.add("default-privileges-extra", f.tenantOf[d.role], f.name(d.role), d.schema, f.name(d.role)+" has default privileges of its own", "ALTER DEFAULT PRIVILEGES FOR ROLE "+quoted(f.name(d.role))+" …")
			}
			continue
		}
		functions = functions || d.schema == "" && d.objectType == "f"
		for _, p := range f.acls[d.acl] {
			if p.grantee != admin.oid {
				got[entry{d.schema, d.objectType, f.name(p.grantee), p.name, false}] = true
				got[entry{d.schema, d.objectType, f.name(p.grantee), p.name, p.grantable}] = true
			}
		}
	}
	kinds := map[string]string{"n": "SCHEMAS", "r": "TABLES", "S": "SEQUENCES", "f": "FUNCTIONS", "T": "TYPES"}
	revoke := func(e entry) string {
		in, option := "", ""
		if e.grantable {
			option = "GRANT OPTION FOR "
		}
		if e.schema != "" {
			in = " IN SCHEMA " + quoted(e.schema)
		}
		return "ALTER DEFAULT PRIVILEGES FOR ROLE " + quoted(f.admin) + in + " REVOKE " + option + e.privilege + " ON " + kinds[e.objectType] + " FROM " + quoted(e.grantee)
	}
	want := map[entry]string{
		{"", "n", f.app, "USAGE", false}:  "",
		{"", "r", f.app, "SELECT", false}: "",
		{"", "S", f.app, "SELECT", false}: "",
	}
	for _, t := range f.tenants {
		if t.Role == "" || f.schemas[t.Schema] == nil {
			continue
		}
		for _, privilege := range []string{"SELECT", "INSERT", "UPDATE", "DELETE"} {
			want[entry{t.Schema, "r", t.Role, privilege, false}] = t.Key
		}
		for _, privilege := range []string{"USAGE", "SELECT"} {
			want[entry{t.Schema, "S", t.Role, privilege, false}] = t.Key
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
		what := e.privilege + " on " + strings.ToLower(kinds[e.objectType])
		if e.grantable {
			what = e.privilege + " with grant option on " + strings.ToLower(kinds[e.objectType])
		}
		f.group(Finding{
			Rule: "default-privileges-extra", Subject: e.grantee, Object: cmp.Or(e.schema, "all schemas"),
			Text: e.grantee + " will hold " + them + " that the admin creates", Fix: revoke(e),
		}, what)
	}
	if !functions || got[entry{"", "f", "PUBLIC", "EXECUTE", false}] {
		f.add("public-on-functions", "", "PUBLIC", "all schemas", "everybody will hold EXECUTE on functions that the admin creates", "pulumi up --refresh")
	}
}

// checkAccess is what the rules above rest on: whoever reaches a tenant's schema, or all that the
// server has, in the end, by whatever way, and is not told of yet.
func (f *findings) checkAccess() {
	for _, power := range f.powers() {
		reached := f.membersOf(power)
		byLength := func(a, b oid) int {
			return cmp.Or(cmp.Compare(len(reached[a].path), len(reached[b].path)), cmp.Compare(a, b))
		}
		for _, id := range slices.SortedFunc(maps.Keys(reached), byLength) {
			path := reached[id].path
			if len(path) == 0 || f.trusted(id) || f.kinds[id] == KindPredefined || f.isTold(path) {
				continue
			}
			f.blamed[id] = true
			f.add("stranger-reaches-tenant", "", f.name(id), f.name(power), f.name(id)+" reaches everything as "+f.describe(path), f.leave(id, path))
		}
	}
	for _, o := range f.objects {
		tenant := f.tenantBySchema[o.schema]
		if tenant == nil || o.kind != "schema" {
			continue
		}
		for id, rights := range f.schemaAccess(o) {
			if id == 0 || f.expectedAccess(id, tenant.Key) {
				continue
			}
			for _, right := range rightsOrder {
				g, has := rights[right]
				if !has || len(g.path) == 0 || f.kinds[g.holder] == KindPredefined || f.isTold(g.path) {
					continue
				}
				finding := Finding{Rule: "stranger-reaches-tenant", Subject: f.name(id), Text: f.name(id) + " reaches " + them + " as " + f.describe(g.path), Fix: f.leave(id, g.path)}
				if f.isTenant(id) {
					finding.Rule, finding.Tenant = "tenant-reaches-tenant", f.tenantOf[id]
				}
				f.group(finding, o.String())
				break // one right is enough
			}
		}
	}
}

// powers are the roles whose members reach everything there is: PostgreSQL's own, and superusers.
func (f *findings) powers() (powers []oid) {
	for _, all := range predefined {
		if role := f.byName[all.role]; role != nil { // not all versions have all
			powers = append(powers, role.oid)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(f.roles)) {
		if f.roles[id].super {
			powers = append(powers, id)
		}
	}
	return powers
}

// isTold reports whether a finding names a membership of a way, or a role on it that reaches too much.
func (f *findings) isTold(path []membership) bool {
	return slices.ContainsFunc(path, func(m membership) bool { return f.told[edge{m.role, m.member}] || f.blamed[m.role] })
}

// leave ends the first membership of a way.
func (f *findings) leave(id oid, path []membership) string {
	return "REVOKE " + quoted(f.name(path[0].role)) + " FROM " + quoted(f.name(id)) + f.grantedBy(path[0])
}

// grantedBy tells whose grant of a membership is meant: from PostgreSQL 16 on one can be there for
// each grantor, and whoever names none means his own.
func (f *findings) grantedBy(m membership) string {
	if f.version < 16 {
		return ""
	}
	return " GRANTED BY " + quoted(f.name(m.grantor))
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
	for _, id := range slices.Sorted(maps.Keys(f.roles)) {
		if kind := f.kinds[id]; f.version < 16 && f.roles[id].createRole && (kind == KindAdmin || kind == KindOther) {
			add("create-role", f.name(id), "before PostgreSQL 16 CREATEROLE lets it join any role but a superuser")
		}
	}
	for _, id := range slices.Sorted(maps.Keys(f.kinds)) {
		switch f.kinds[id] {
		case KindDeployer:
			text := "it owns the database, deploys the stacks and so can give itself anything"
			if id != f.databaseOwner() {
				text = "it made " + f.name(f.databaseOwner()) + ", which deploys the stacks, and so can give itself anything"
			}
			add("deployer", f.name(id), text)
		case KindSuperuser:
			add("superuser", f.name(id), "it can do everything")
		}
	}
}
