package cells

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tenant-permissions/internal/config"
)

// platformFile is the file of a platform stack with a secret that its cells cannot read.
const platformFile = `config:
  postgresql:host: db.example.com
  postgresql:database: platform
  postgresql:superuser: false
  postgresql:password:
    secure: AAABALncS1y4FRpUFhbTGMqUt6LKaM1I8wI7mJc=
  tenant-permissions:readers:
    analyst: {}
  tenant-permissions:tenants:
    umbrella: {}
`

// sandbox is a checkout with a platform called prod.
type sandbox struct{ dir string }

func newSandbox(t *testing.T) sandbox {
	t.Helper()
	project, err := os.ReadFile("../../Pulumi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := sandbox{t.TempDir()}
	s.write(t, "Pulumi.yaml", string(project))
	s.write(t, "Pulumi.prod.yaml", platformFile)
	return s
}

func (s sandbox) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s sandbox) read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// cell writes the file of a cell.
func (s sandbox) cell(t *testing.T, name, tenants string) {
	t.Helper()
	s.write(t, "Pulumi."+name+".yaml", "config:\n  postgresql:database: platform\n"+
		"  tenant-permissions:platform: organization/tenant-permissions/prod\n  tenant-permissions:tenants: "+tenants+"\n")
}

// verb is a command on the platform prod and its cells.
type verb func(*Stacks, io.Writer) error

func splits(splitting Splitting) verb {
	splitting.File = "tenants.yaml"
	return func(s *Stacks, out io.Writer) error { return s.Split(splitting, out) }
}

func prints(m Manifests) verb {
	return func(s *Stacks, out io.Writer) error { return s.Manifests(m, out) }
}

func (s sandbox) run(t *testing.T, organization string, do verb) (string, error) {
	t.Helper()
	stacks, err := Open(s.dir, "prod", organization)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = do(stacks, &out)
	return out.String(), err
}

// split splits tenants and returns what was printed.
func (s sandbox) split(t *testing.T, tenants string, splitting Splitting) string {
	t.Helper()
	s.write(t, "tenants.yaml", tenants)
	out, err := s.run(t, "", splits(splitting))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// files are all files of the checkout but the tenants file, by name.
func (s sandbox) files(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, path := range must(filepath.Glob(filepath.Join(s.dir, "Pulumi.*"))) {
		files[filepath.Base(path)] = s.read(t, filepath.Base(path))
	}
	return files
}

// members are the keys of each cell's tenants, by the cell's name.
func (s sandbox) members(t *testing.T) map[string][]string {
	t.Helper()
	members := map[string][]string{}
	for _, cell := range must(loadCheckout(s.dir)).cells("prod") {
		members[cell.name] = slices.Sorted(maps.Keys(must(cell.tenants())))
	}
	return members
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// effective are the tenantDefaults of a stack as JSON, empty if it has none.
func (s sandbox) effective(t *testing.T, stack string) string {
	t.Helper()
	c := must(loadCheckout(s.dir))
	return must(c.values(c.stacks[stack]))[defaultsKey.String()].Value
}

// differs is what check says of a cell's defaults.
func differs(t *testing.T, s sandbox, cell string) string {
	t.Helper()
	return fmt.Sprintf("%s differs from %s", config.Show(s.effective(t, cell)), config.Show(s.effective(t, "prod")))
}

// fails fails unless the error has all the lines, and nothing was written.
func (s sandbox) fails(t *testing.T, want []string, do verb) {
	t.Helper()
	before := s.files(t)
	out, err := s.run(t, "", do)
	if err == nil {
		t.Fatalf("got no error, want %q", want)
	}
	got := strings.Split(err.Error(), "\n  ")[1:]
	if !slices.Equal(got, want) {
		t.Errorf("got the problems\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	if out != "" || !maps.Equal(before, s.files(t)) {
		t.Errorf("something was printed or written all the same: %s", out)
	}
}

func TestSplit(t *testing.T) {
	s := newSandbox(t)
	out := s.split(t, "globex: {connectionLimit: 2000000}\nacme: {}\ninitech: {role: i, logins: {active: a}}\n", Splitting{Size: 2})
	const want = `config:
  postgresql:database: platform
  postgresql:host: db.example.com
  postgresql:superuser: "false"
  tenant-permissions:platform: organization/tenant-permissions/prod
  tenant-permissions:tenants:
    acme: {}
    globex:
      connectionLimit: 2000000
`
	if got := s.files(t)["Pulumi.prod-001.yaml"]; got != want {
		t.Errorf("got the cell\n%s\nwant\n%s", got, want)
	}
	for _, line := range []string{
		"prod: 3 tenants in 2 cells of 1 to 2; 3 new, 0 changed, 0 removed",
		"new cells: prod-001 prod-002",
		"pulumi config set --secret postgresql:password --stack <cell>",
	} {
		if !strings.Contains(out, line) {
			t.Errorf("got\n%s\nwant in it: %s", out, line)
		}
	}

	t.Run("what else is in a cell's file stays", func(t *testing.T) {
		const before = `# ours
config:
  postgresql:database: platform
  postgresql:password: # set by hand
    secure: AAABAOqMTF1Rto4CUbeLUKLEhHEqqg==
  tenant-permissions:platform: organization/tenant-permissions/prod
  tenant-permissions:protectTenants: "false"
  tenant-permissions:tenants:
    acme: {} # the first
    globex:
      connectionLimit: 2000000
encryptionsalt: v1:wXHIqWQfVvc=
`
		s.write(t, "Pulumi.prod-001.yaml", before)
		out := s.split(t, "acme: {}\nglobex: {connectionLimit: 5}\ninitech: {role: i, logins: {active: a}}\n", Splitting{Size: 2})
		if got, want := s.files(t)["Pulumi.prod-001.yaml"], strings.Replace(before, "2000000", "5", 1); got != want {
			t.Errorf("got the cell\n%s\nwant\n%s", got, want)
		}
		if want := "prod: 3 tenants in 2 cells of 1 to 2; 0 new, 1 changed, 0 removed\n"; out != want {
			t.Errorf("got %q, want %q", out, want)
		}
	})
	t.Run("a tenant that goes has a line", func(t *testing.T) {
		s.split(t, "acme: {}\nglobex: {retire: drop}\ninitech: {}\n", Splitting{Size: 2})
		out := s.split(t, "hooli: {}\n", Splitting{Size: 2})
		for _, want := range []string{
			"prod-001: acme is removed, but was not retired with drop, so protectTenants stops",
			"prod-001: globex is removed with its data",
			"prod-002: initech is removed, but",
			"prod: 1 tenants in 2 cells of 0 to 1; 1 new, 0 changed, 3 removed",
		} {
			if !strings.Contains(out, want) {
				t.Errorf("got\n%s\nwant in it: %s", out, want)
			}
		}
	})
	t.Run("a new cell comes behind the last", func(t *testing.T) {
		s := newSandbox(t)
		s.cell(t, "prod-007", "{}")
		s.cell(t, "prod-1000", "{}")
		s.split(t, "a: {}\nb: {}\nc: {}\n", Splitting{Size: 1})
		want := map[string][]string{"prod-007": {"a"}, "prod-1000": {"b"}, "prod-1001": {"c"}}
		if got := s.members(t); !maps.EqualFunc(got, want, slices.Equal) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
	t.Run("cells of another prefix", func(t *testing.T) {
		s := newSandbox(t)
		s.cell(t, "eu", "{acme: {}}")
		s.split(t, "globex: {}\n", Splitting{Size: 50, Prefix: "us-"})
		if got := s.files(t)["Pulumi.us-001.yaml"]; !strings.Contains(got, "platform: organization/tenant-permissions/prod\n") {
			t.Errorf("got the cell\n%s", got)
		}
		if got, want := s.members(t), map[string][]string{"eu": {"acme"}, "us-001": {"globex"}}; !maps.EqualFunc(got, want, slices.Equal) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// tenantDefaults hold for the tenants of one stack, so every cell has those of the platform.
func TestSplitCopiesDefaults(t *testing.T) {
	s := newSandbox(t)
	const tenants = "a: {}\nb: {}\n"
	s.split(t, tenants, Splitting{Size: 1})
	before := s.files(t)
	for _, defaults := range []string{"{executeFunctions: true, statementTimeout: 15s}", "{statementTimeout: 15s}"} {
		s.write(t, "Pulumi.prod.yaml", platformFile+"  tenant-permissions:tenantDefaults: "+defaults+"\n")
		s.fails(t, []string{
			`Pulumi.prod-001.yaml: tenant-permissions:tenantDefaults: ` + differs(t, s, "prod-001") + ` of Pulumi.prod.yaml; run cells split, or give the same`,
			`Pulumi.prod-002.yaml: tenant-permissions:tenantDefaults: ` + differs(t, s, "prod-002") + ` of Pulumi.prod.yaml; run cells split, or give the same`,
		}, (*Stacks).Check)
		if out := s.split(t, tenants, Splitting{Size: 1}); !strings.HasSuffix(out, "tenantDefaults of prod: copied into 2 cells\n") {
			t.Errorf("got %q", out)
		}
		if got, want := s.effective(t, "prod-001"), s.effective(t, "prod"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if _, err := s.run(t, "", (*Stacks).Check); err != nil {
			t.Error(err)
		}
		if out := s.split(t, tenants, Splitting{Size: 1}); strings.Contains(out, "Defaults") {
			t.Errorf("copied again: %q", out)
		}
	}
	s.split(t, tenants+"c: {}\n", Splitting{Size: 1})
	if got, want := s.effective(t, "prod-003"), s.effective(t, "prod"); got != want {
		t.Errorf("a new cell: got %s, want %s", got, want)
	}
	// What a cell has of its own goes, as the platform has none.
	s.write(t, "Pulumi.prod.yaml", platformFile)
	s.split(t, tenants, Splitting{Size: 1})
	if after := s.files(t); after["Pulumi.prod-001.yaml"] != before["Pulumi.prod-001.yaml"] {
		t.Errorf("got\n%s\nwant\n%s", after["Pulumi.prod-001.yaml"], before["Pulumi.prod-001.yaml"])
	}
	s.write(t, "Pulumi.prod.yaml", platformFile+"  tenant-permissions:tenantDefaults: {secure: AAABALncS1y4FRpUFhbTGMqUt6LKaM1I8wI7mJc=}\n")
	s.fails(t, []string{`Pulumi.prod.yaml: tenant-permissions:tenantDefaults: the value is secret, so cells cannot have it; set it without --secret`}, splits(Splitting{Size: 1}))
}

// Whatever is wrong is said at once, and nothing is written.
func TestSplitRefuses(t *testing.T) {
	s := newSandbox(t)
	s.write(t, "tenants.yaml", `acme: {}
globex: {connectionLimit: 1, connectionLimit: 2}
acme: {}
hooli:
initech: 3
umbrella: {}
eu: {}
`)
	s.cell(t, "prod-001", "{both: {}, other: {}}")
	s.cell(t, "prod-002", "{both: {}}")
	s.cell(t, "eu", "{eu: {}}")
	s.write(t, "Pulumi.prod-003.yaml", "config: {}\n")
	s.fails(t, []string{
		`--size: 0 is not accepted; give a number from 1`,
		`Pulumi.prod-002.yaml: tenant-permissions:tenants.both: Pulumi.prod-001.yaml has this tenant too; give it to one of them`,
		`Pulumi.prod-003.yaml: tenant-permissions:platform: "" is not accepted; give "organization/tenant-permissions/prod", or another --prefix, --platform or --organization`,
		`tenants.yaml: eu: Pulumi.eu.yaml has this tenant too; give it to one of them`,
		`tenants.yaml: umbrella: Pulumi.prod.yaml has this tenant too; give it to one of them`,
		`tenants.yaml:2: globex.connectionLimit: line 2 has this key already; give it once`,
		`tenants.yaml:3: acme: line 1 has this key already; give it once`,
		`tenants.yaml:4: "hooli:" is not accepted; give a key with an object, {} for the defaults`,
		`tenants.yaml:5: "initech: 3" is not accepted; give a key with an object, {} for the defaults`,
	}, splits(Splitting{}))
	s.write(t, "tenants.yaml", "# nobody\n")
	s.write(t, "Pulumi.prod-003.yaml", "config: {a:b: 1, a:b: 2}\n")
	s.fails(t, []string{"Pulumi.prod-003.yaml: yaml: unmarshal errors:", `line 1: mapping key "a:b" already defined at line 1`}, splits(Splitting{Size: 50}))
	s = newSandbox(t)
	s.write(t, "tenants.yaml", "# nobody\n")
	s.fails(t, []string{"--prefix: \"a/b\" is not accepted; give letters, digits, _, . and -", "tenants.yaml: not a map; give tenants by key, {} for none"},
		splits(Splitting{Size: 50, Prefix: "a/b"}))
}

// Over many rounds of tenants that come, change and go, with sizes that change: no tenant ever
// moves, every tenant is in one cell, the first cells are filled first and up to the size, and a
// second run with the same tenants writes nothing.
func TestSplitIsStable(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, seed))
			s, all, home := newSandbox(t), map[string]int{}, map[string]string{}
			for range 12 {
				before, size := s.members(t), 1+random.IntN(6)
				for range random.IntN(10) {
					all[fmt.Sprintf("t%d", random.IntN(40))] = random.IntN(3)
				}
				for _, key := range slices.Sorted(maps.Keys(all)) {
					if random.IntN(4) == 0 {
						delete(all, key)
						delete(home, key)
					}
				}
				text := strings.Builder{}
				text.WriteString("{")
				for key, limit := range all { // in any order
					fmt.Fprintf(&text, "%s: {connectionLimit: %d}, ", key, limit)
				}
				text.WriteString("}\n")
				s.split(t, text.String(), Splitting{Size: size})
				files := s.files(t)
				s.split(t, text.String(), Splitting{Size: size})
				if !maps.Equal(files, s.files(t)) {
					t.Fatal("the second run changed a file")
				}

				seen, full, after := 0, true, s.members(t)
				for _, cell := range slices.Sorted(maps.Keys(after)) {
					keys := after[cell]
					seen += len(keys)
					if added := slices.ContainsFunc(keys, func(key string) bool { return home[key] == "" }); added && !full {
						t.Fatalf("%s got a new tenant, where a cell before it has room", cell)
					}
					full = full && len(keys) >= size
					if len(keys) > max(size, len(before[cell])) {
						t.Fatalf("%s was filled up to %d of %d", cell, len(keys), size)
					}
					for _, key := range keys {
						if _, wanted := all[key]; !wanted || home[key] != "" && home[key] != cell {
							t.Fatalf("%s is in %s, was in %q", key, cell, home[key])
						}
						home[key] = cell
					}
				}
				if seen != len(all) {
					t.Fatalf("cells have %d tenants, want %d", seen, len(all))
				}
			}
		})
	}
}

func TestCheck(t *testing.T) {
	check := func(stacks *Stacks, out io.Writer) error { return stacks.Check(out) }
	s := newSandbox(t)
	s.split(t, "acme: {}\nglobex: {}\ninitech: {logins: {active: a}}\n", Splitting{Size: 2})
	out, err := s.run(t, "", check)
	if want := "organization/tenant-permissions/prod\norganization/tenant-permissions/prod-001\norganization/tenant-permissions/prod-002\n"; err != nil || out != want {
		t.Errorf("got %q, %v, want %q", out, err, want)
	}

	s.cell(t, "prod-003", "{acme: {role: other, schema: other}, new: {role: tenant_initech_b}, umbrellas: {schema: tenant_umbrella}}")
	s.cell(t, "prod-004", "{x: {role: analyst}, y: {roole: a, connectionLimit: -2}}")
	s.cell(t, "prod-005", "{x: {schema: all_tenants}}")
	s.cell(t, "prod-006", "{}\n  tenant-permissions:protectTenants: {secure: AAABALncS1y4FRpUFhbTGMqUt6LKaM1I8wI7mJc=}")
	s.write(t, "Pulumi.other.yaml", strings.ReplaceAll(s.files(t)["Pulumi.prod-001.yaml"], "permissions/prod", "permissions/else"))
	s.fails(t, []string{
		`Pulumi.prod-003.yaml: tenants.acme: the key "acme" is already taken by tenants.acme of Pulumi.prod-001.yaml; choose another`,
		`Pulumi.prod-003.yaml: tenants.new.role: the name "tenant_initech_b" is already taken by tenants.initech.logins.b of Pulumi.prod-002.yaml; choose another`,
		`Pulumi.prod-003.yaml: tenants.umbrellas.schema: the name "tenant_umbrella" is already taken by tenants.umbrella.role of Pulumi.prod.yaml; choose another`,
		`Pulumi.prod-004.yaml: tenants.y.connectionLimit: -2 is not accepted; give a whole number of sessions, -1 for no limit`,
		`Pulumi.prod-004.yaml: tenants.y.roole: unknown key; known keys: adopt, agents, connectionLimit, database, executeFunctions, idleInTransactionSessionTimeout, isolation, logins, passwordVersion, previous, retire, role, schema, statementTimeout, suspended`,
		`Pulumi.prod-005.yaml: tenants.x.schema: the name "all_tenants" is already taken by roles.allTenants.name of Pulumi.prod.yaml; choose another`,
		`Pulumi.prod-006.yaml: protectTenants: the value is secret; set it without --secret, because the outputs show its names in plain text`,
	}, check)

	t.Run("config of all stacks in Pulumi.yaml counts", func(t *testing.T) {
		s := newSandbox(t)
		project := s.read(t, "Pulumi.yaml") + "config:\n  postgresql:database:\n    value: platform\n"
		s.write(t, "Pulumi.yaml", project)
		s.write(t, "Pulumi.prod.yaml", "config:\n  tenants: {acme: {}}\n")
		if _, err := s.run(t, "", check); err != nil {
			t.Error(err)
		}
		s.write(t, "Pulumi.yaml", project+"  roles:\n    type: object\n    default: {app: {name: tenant_acme}}\n")
		s.fails(t, []string{`Pulumi.prod.yaml: tenants.acme.role: "tenant_acme" is already taken by roles.app.name; choose another name`}, check)
	})
	t.Run("a cell is no platform, and all name the platform alike", func(t *testing.T) {
		s := newSandbox(t)
		s.cell(t, "a", "{}")
		s.write(t, "Pulumi.b.yaml", strings.Replace(s.files(t)["Pulumi.a.yaml"], "organization", "example", 1))
		s.write(t, "Pulumi.prod.yaml", strings.Replace(s.files(t)["Pulumi.a.yaml"], "permissions/prod", "permissions/else", 1))
		s.fails(t, []string{
			`Pulumi.b.yaml: tenant-permissions:platform: "example/tenant-permissions/prod" is not accepted: give "organization/tenant-permissions/prod", or another --organization`,
			`Pulumi.prod.yaml: tenant-permissions:platform: "organization/tenant-permissions/else" is not accepted: this stack is the platform, not a cell; unset the key, or give another --platform`,
		}, check)
	})
	t.Run("the organization is that of the cells, or the given one", func(t *testing.T) {
		s := newSandbox(t)
		for want, organization := range map[string]string{
			"organization/tenant-permissions/prod\n": "",
			"other/tenant-permissions/prod\n":        "other",
		} {
			if out, err := s.run(t, organization, check); err != nil || out != want {
				t.Errorf("got %q, %v, want %q", out, err, want)
			}
		}
		s.write(t, "tenants.yaml", "acme: {}\n")
		if _, err := s.run(t, "example", splits(Splitting{Size: 50})); err != nil {
			t.Fatal(err)
		}
		s.split(t, "acme: {}\nglobex: {}\n", Splitting{Size: 1})
		const want = "example/tenant-permissions/prod\nexample/tenant-permissions/prod-001\nexample/tenant-permissions/prod-002\n"
		if out, err := s.run(t, "", check); err != nil || out != want {
			t.Errorf("got %q, %v, want %q", out, err, want)
		}
	})
	t.Run("200 cells", func(t *testing.T) {
		s, tenants := newSandbox(t), strings.Builder{}
		for i := range 200 {
			fmt.Fprintf(&tenants, "t%d: {}\n", i)
		}
		s.split(t, tenants.String(), Splitting{Size: 1})
		if out, err := s.run(t, "", check); err != nil || strings.Count(out, "\n") != 201 {
			t.Errorf("got %d stacks, %v", strings.Count(out, "\n"), err)
		}
	})
}

func TestOpen(t *testing.T) {
	s := newSandbox(t)
	if _, err := Open(s.dir, "nowhere", ""); err == nil || !strings.Contains(err.Error(), `--platform "nowhere" is not accepted`) {
		t.Errorf("got error %v", err)
	}
	if _, err := Open("nowhere", "prod", ""); err == nil || !strings.Contains(err.Error(), "Pulumi.yaml") {
		t.Errorf("got error %v", err)
	}
	below := filepath.Join(s.dir, "a", "b")
	if err := os.MkdirAll(below, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(below)
	if stacks, err := Open("", "prod", ""); err != nil || filepath.Base(stacks.dir) != filepath.Base(s.dir) {
		t.Errorf("got %v, %v, want the checkout above", stacks, err)
	}
	t.Chdir("/")
	if _, err := Open("", "prod", ""); err == nil || !strings.Contains(err.Error(), "give --checkout") {
		t.Errorf("got error %v", err)
	}
}
