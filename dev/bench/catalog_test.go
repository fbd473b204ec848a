package bench

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Servers with many tenants, measured with few. The results of another version stay.
func TestCatalog(t *testing.T) {
	docs := t.TempDir()
	before := figures()
	before.Catalogs = []*catalog{{Environment: environment{PostgreSQL: "13.9"}, Superuser: true, Tenants: 7, Seconds: map[string]float64{loginApp: 0.005}}}
	if err := before.save(docs); err != nil {
		t.Fatal(err)
	}
	o := options(docs)
	o.Catalog, o.Busy, o.Tenants = true, true, []int{3, 2}
	var out, progress bytes.Buffer
	if err := Run(t.Context(), o, &out, &progress); err != nil {
		t.Fatalf("%v\n%s", err, progress.Bytes())
	}
	after, err := loadResults(docs)
	if err != nil {
		t.Fatal(err)
	}
	if len(after.Measurements) != len(before.Measurements) || len(after.Catalogs) != 5 {
		t.Fatalf("got %d catalogs, want that of before and two without and with a superuser", len(after.Catalogs))
	}
	for _, c := range after.Catalogs[1:] {
		for _, name := range []string{loginApp, loginTenant, loginAdmin, firstApp, firstTenant, firstAdmin, changeApp, changeTenant, changeAdmin, setRole, changeSet, adminGrants, addTenant, dropTenant, lockMembers} {
			if c.Seconds[name] <= 0 {
				t.Errorf("%d tenants, superuser %t: %s: got %v", c.Tenants, c.Superuser, name, c.Seconds[name])
			}
		}
		for _, name := range []string{sizeMemberships, sizeDefaults, sizeSchemas, sizeDatabaseACL, sizeSchemaACL} {
			if c.Bytes[name] <= 0 {
				t.Errorf("%d tenants, superuser %t: no size of %s", c.Tenants, c.Superuser, name)
			}
		}
		// Each tenant is a member of all_tenants, and has all_tenants_admin as a member.
		if c.Memberships < 2*c.Tenants {
			t.Errorf("%d tenants, superuser %t: got %d memberships", c.Tenants, c.Superuser, c.Memberships)
		}
		for _, name := range toolNames() {
			if cost := c.Tools[name]; c.Superuser != (cost != nil && median(cost.Seconds) > 0 && median(cost.CPU) > 0) {
				t.Errorf("%d tenants, superuser %t: %s: got %+v", c.Tenants, c.Superuser, name, cost)
			}
		}
	}
	page, err := os.ReadFile(filepath.Join(docs, "benchmarks.md"))
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(page), "\n## Many tenants on one server\n", "Other work ran on the machine", "| log in as the app | 5 ms |", "\n### tenantctl\n", "| `cells split` |")
	if strings.Contains(string(page), "| 0 B ") {
		t.Errorf("a size of nothing:\n%s", page)
	}
}

// The figures of a server replace those of the same version and deployer.
func TestAddCatalogs(t *testing.T) {
	made := func(version string, superuser bool, tenants int) *catalog {
		return &catalog{Environment: environment{PostgreSQL: version}, Superuser: superuser, Tenants: tenants}
	}
	r := &results{Catalogs: []*catalog{made("14.1", true, 1), made("14.1", false, 2), made("15.1", true, 3)}}
	r.addCatalogs([]*catalog{made("14.2", true, 4), made("14.2", true, 5)})
	var tenants []int
	for _, c := range r.Catalogs {
		tenants = append(tenants, c.Tenants)
	}
	if !slices.Equal(tenants, []int{2, 3, 4, 5}) {
		t.Errorf("got %v", tenants)
	}
}

func TestSize(t *testing.T) {
	for got, want := range map[string]string{size(85): "85 B", size(3502): "3.5 kB", size(2_703_360): "2.7 MB"} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
