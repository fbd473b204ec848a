package audit

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tenant-permissions/internal/policy"
)

// accessKey is what objects with the same access have in common.
type accessKey struct {
	kind, schema string
	owner        oid
	// acl and columns are the privileges on the object and on its columns, as texts.
	acl, columns string
}

func newAccessKey(o *object) accessKey {
	key := accessKey{kind: kindGroup(o.kind), schema: o.schema, owner: o.owner, acl: o.acl}
	if len(o.columns) > 0 {
		key.columns = fmt.Sprint(o.columns)
	}
	return key
}

// report is the whole report. It has the stacks' objects only: the databases, and the tenants' schemas
// with what is in them.
func (s *system) report(taken time.Time, w *waivers) Report {
	r := Report{Version: 1, Taken: taken.UTC().Truncate(time.Second), Server: s.server, Database: s.catalog.database, Tenants: append([]Tenant{}, s.tenants...), Objects: []Object{}, AccessLists: [][]Access{}}
	principals := map[string]Principal{}
	for _, of := range s.databases() {
		of.addObjects(&r, principals)
	}
	for id := range s.kinds {
		if s.managed(id) || s.kinds[id] == KindSuperuser || s.kinds[id] == KindDeployer {
			principals[s.name(id)] = s.principal(s.name(id))
		}
	}
	for _, name := range sortedKeys(principals) {
		r.Principals = append(r.Principals, principals[name])
	}
	found := s.findings(w)
	r.Violations, r.Waived, r.Notes = found.violations, found.waived, found.notes
	r.waivable, r.vague, r.ended, r.address = found.waivable, found.vague, w.ended(), s.address
	return r
}

// addObjects adds the objects of one database to a report, and who can do something with them.
func (s *system) addObjects(r *Report, principals map[string]Principal) {
	lists := map[accessKey]int{}
	for _, o := range s.objects {
		tenant := s.tenantBySchema[o.schema]
		if tenant == nil && o.kind != "database" {
			continue
		}
		object := Object{Kind: o.kind, Schema: o.schema, Name: o.name, Owner: s.name(o.owner), Database: s.shownDatabase()}
		switch {
		case tenant != nil:
			object.Tenant = tenant.Key
		case s.own != nil:
			object.Tenant = s.own.Key
		}
		key := newAccessKey(o)
		index, known := lists[key]
		if !known {
			index = len(r.AccessLists)
			lists[key] = index
			r.AccessLists = append(r.AccessLists, s.accessList(o, tenant))
			for _, access := range r.AccessLists[index] {
				principals[access.Who] = s.principal(access.Who)
			}
		}
		object.Access = index
		r.Objects = append(r.Objects, object)
	}
}

// kindGroup is the same for kinds of objects on which privileges mean the same.
func kindGroup(kind string) string {
	switch kind {
	case "view", "materialized view", "foreign table":
		return "table"
	default:
		return kind
	}
}

func (s *system) principal(name string) Principal {
	if name == "PUBLIC" {
		return Principal{Name: name, Kind: KindPublic}
	}
	id := s.byName[name].oid
	return Principal{Name: name, Kind: s.kinds[id], Tenant: s.tenantOf[id]}
}

// accessList is what each role, and PUBLIC, can do with an object, by name.
func (s *system) accessList(o *object, tenant *Tenant) []Access {
	all := s.access(o)
	list := []Access{}
	for _, id := range slices.SortedFunc(maps.Keys(all), func(a, b oid) int { return cmp.Compare(s.name(a), s.name(b)) }) {
		if s.kinds[id] == KindPredefined {
			continue // no one logs in as such a role
		}
		rights := all[id]
		access := Access{Who: s.name(id), Rights: []string{}}
		var paths []string
		for _, right := range rightsOrder {
			g, ok := rights[right]
			if !ok {
				continue
			}
			access.Rights = append(access.Rights, right)
			if path := s.path(g); !slices.Contains(paths, path) {
				paths = append(paths, path)
			}
		}
		access.Path = strings.Join(paths, "; ")
		access.Expected = s.expectedRights(id, o, tenant, access.Rights)
		list = append(list, access)
	}
	return list
}

// path is why a right is there, in words.
func (s *system) path(g granted) string {
	if len(g.path) == 0 {
		return g.reason
	}
	words := s.describe(g.path)
	if g.reason == "owner" {
		words += ", the owner"
	}
	return words
}

// expectedRights reports whether the policy gives these rights on an object, or on everything.
func (s *system) expectedRights(id oid, o *object, tenant *Tenant, rights []string) bool {
	if s.trusted(id) {
		return true
	}
	role, kind := s.policyRole(id), policyKind(o.kind)
	if s.isTenant(id) && tenant != nil && (s.tenantOf[id] != tenant.Key || tenant.Retired != "") {
		return false
	}
	if o.kind == "database" {
		connects := !slices.ContainsFunc(rights, func(right string) bool { return right != rightConnect })
		return connects && s.policyRole(id) != "" && s.mayConnect(id)
	}
	var expected []string
	for _, privilege := range policy.Holds(role, kind) {
		expected = append(expected, right(o.kind, privilege))
	}
	if policy.May(role, kind, "EXECUTE") {
		expected = append(expected, rightUse)
	}
	return !slices.ContainsFunc(rights, func(right string) bool { return !slices.Contains(expected, right) })
}
