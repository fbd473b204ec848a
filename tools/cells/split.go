package cells

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	pulumiconfig "github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"gopkg.in/yaml.v3"

	"tenant-permissions/internal/config"
	"tenant-permissions/tools/connect"
)

// tenants are tenants by key, each as the config key tenant-permissions:tenants has it. Only the program
// checks what is in them.
type tenants map[string]map[string]any

// Splitting spreads the tenants of a file over the files of cells.
type Splitting struct {
	// File is a YAML file with all tenants by key, looked for in the checkout, - for standard input.
	File string
	// Prefix is what the cells' names begin with, <platform>- if it is "".
	Prefix string
	// Size is the most tenants that a cell is filled up to.
	Size int
	// Stdin is what the file - stands for.
	Stdin io.Reader
}

// splitting is a Splitting of one platform.
type splitting struct {
	Splitting
	reference platformReference
}

// Split writes the files of the cells that changed, or none of them if anything is wrong.
func (s *Stacks) Split(splits Splitting, out io.Writer) error {
	splits.Prefix = cmp.Or(splits.Prefix, s.reference.stack+"-")
	return splitting{splits, s.reference}.run(s.checkout, out)
}

func (s splitting) run(c *checkout, out io.Writer) error {
	p := &config.Problems{}
	want := s.readTenants(p, c.dir)
	cells, has := s.ownCells(p, c)
	s.tenantsElsewhere(p, c, cells, want)
	if platform := c.stacks[s.reference.stack]; platform.settings.Config[defaultsKey].Secure() {
		p.Add(platform.file+": "+defaultsKey.String(), "the value is secret, so cells cannot have it; set it without --secret")
	}
	if s.Size < 1 {
		p.Add("--size", "%d is not accepted; give a number from 1", s.Size)
	}
	if !regexp.MustCompile(`^[\w.-]+$`).MatchString(s.Prefix) {
		p.Add("--prefix", "%s is not accepted; give letters, digits, _, . and -", config.Show(s.Prefix))
	}
	if err := p.Err(); err != nil {
		return err
	}

	gets := assign(has, want, s.Size)
	report := summary{total: len(want)}
	added, secrets := s.newCells(c, cells, gets)
	for _, number := range slices.Sorted(maps.Keys(gets)) {
		cell, members := cells[number], tenants{}
		for _, key := range gets[number] {
			members[key] = want[key]
		}
		defaults, err := cell.takeDefaults(c.stacks[s.reference.stack])
		if err != nil {
			return err
		}
		if defaults {
			report.defaults++
		}
		if err := cell.update(c.dir, has[number], members, defaults); err != nil {
			return err
		}
		report.add(out, cell.name, has[number], members)
	}
	report.print(out, s.reference.stack)
	if len(added) > 0 {
		fmt.Fprintf(out, "new cells: %s\n", strings.Join(added, " "))
		for _, key := range secrets {
			fmt.Fprintf(out, "%s of %s is a secret, which only that stack can read. Run pulumi config set --secret %[1]s --stack <cell> for each new cell, or set an environment variable where they run (PGPASSWORD for the password).\n", key, s.reference.stack)
		}
	}
	return nil
}

// readTenants reads the tenants file. An empty one is a problem: it would remove every tenant.
func (s splitting) readTenants(p *config.Problems, dir string) tenants {
	path := s.File
	if path != "-" && !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	content, err := connect.Read(path, s.Stdin)
	if err != nil {
		p.AddError("--tenants", err)
		return nil
	}
	var doc yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	if err := decoder.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		p.AddError(s.File, err)
		return nil
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		p.Add(s.File, "there is a second YAML document; give one")
	}
	if doc.Kind == 0 || doc.Content[0].Kind != yaml.MappingNode {
		p.Add(s.File, "not a map; give tenants by key, {} for none")
		return nil
	}
	fields, lines := doc.Content[0], strings.Split(string(content), "\n")
	noKeyTwice(p, s.File, "", fields)
	all := tenants{}
	for i := 0; i < len(fields.Content); i += 2 {
		// JSON makes it comparable with what is read from a cell's file.
		var value any
		tenant, node := map[string]any{}, fields.Content[i+1]
		encoded, err := []byte(nil), node.Decode(&value)
		if err == nil {
			encoded, err = json.Marshal(value)
		}
		if err == nil && value != nil {
			err = json.Unmarshal(encoded, &tenant)
		}
		if keyTwice := new(yaml.TypeError); err == nil && value == nil || err != nil && !errors.As(err, &keyTwice) {
			text := strings.TrimSpace(lines[node.Line-1])
			p.Add(fmt.Sprintf("%s:%d", s.File, node.Line), "%s is not accepted; give a key with an object, {} for the defaults", config.Show(text))
		}
		all[fields.Content[i].Value] = tenant
	}
	return all
}

// noKeyTwice reports keys that one map has twice. A tool must not guess which of them is meant.
func noKeyTwice(p *config.Problems, file, path string, node *yaml.Node) {
	lines := map[string]int{}
	for i, child := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 0 {
			if first, twice := lines[child.Value]; twice {
				p.Add(fmt.Sprintf("%s:%d: %s%s", file, child.Line, path, child.Value), "line %d has this key already; give it once", first)
			}
			lines[child.Value] = child.Line
			continue
		}
		below := path
		if node.Kind == yaml.MappingNode {
			below += node.Content[i-1].Value + "."
		}
		noKeyTwice(p, file, below, child)
	}
}

// ownCells are the cells called <prefix>NNN, by number, and the tenants of each.
func (s splitting) ownCells(p *config.Problems, c *checkout) (map[int]*stack, map[int]tenants) {
	cells, has := map[int]*stack{}, map[int]tenants{}
	for name, stack := range c.stacks {
		digits, ours := strings.CutPrefix(name, s.Prefix)
		number, err := strconv.Atoi(digits)
		if !ours || err != nil || name != s.cellName(number) {
			continue
		}
		if got, want := stack.platform(), s.reference.String(); got != want {
			p.Add(stack.file+": "+platformKey.String(), "%s is not accepted; give %s, or another --prefix, --platform or --organization", config.Show(got), config.Show(want))
		}
		cells[number] = stack
		if has[number], err = stack.tenants(); err != nil {
			p.AddError(stack.file+": "+tenantsKey.String(), err)
		}
	}
	return cells, has
}

func (s splitting) cellName(number int) string { return fmt.Sprintf("%s%03d", s.Prefix, number) }

// tenantsElsewhere reports tenants that two cells have, and tenants of the file that are in another stack
// of the platform or in the platform itself.
func (s splitting) tenantsElsewhere(p *config.Problems, c *checkout, own map[int]*stack, want tenants) {
	owner := map[string]*stack{}
	for _, stack := range append(c.cells(s.reference.stack), c.stacks[s.reference.stack]) {
		members, err := stack.tenants()
		isOwn := slices.Contains(slices.Collect(maps.Values(own)), stack)
		if err != nil && !isOwn {
			p.AddError(stack.file+": "+tenantsKey.String(), err)
		}
		for key := range members {
			if first := owner[key]; first != nil {
				p.Add(fmt.Sprintf("%s: %s.%s", stack.file, tenantsKey, key), "%s has this tenant too; give it to one of them", first.file)
			}
			owner[key] = stack
			if _, wanted := want[key]; wanted && !isOwn {
				p.Add(s.File+": "+key, "%s has this tenant too; give it to one of them", stack.file)
			}
		}
	}
}

// assign returns the keys of the tenants of each cell, by the cell's number. A tenant stays in its cell as
// long as it exists, because moving it means moving state. New tenants are sorted. They fill the cells
// in the order of their numbers, then new cells after the last one. A number that is missing is not
// used, because its stack may exist.
func assign(has map[int]tenants, want tenants, size int) map[int][]string {
	gets, placed, last := map[int][]string{}, map[string]bool{}, 0
	for number, members := range has {
		gets[number], last = []string{}, max(last, number)
		for key := range members {
			if _, stays := want[key]; stays {
				gets[number] = append(gets[number], key)
				placed[key] = true
			}
		}
	}
	numbers := slices.Sorted(maps.Keys(gets))
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if placed[key] {
			continue
		}
		for len(numbers) > 0 && len(gets[numbers[0]]) >= size {
			numbers = numbers[1:]
		}
		if len(numbers) == 0 {
			last++
			numbers = []int{last}
		}
		gets[numbers[0]] = append(gets[numbers[0]], key)
	}
	return gets
}

// newCells adds the cells that do not exist yet, and returns their names. They have the connection of the
// platform, without its secrets, which are encrypted with the platform's own key. secrets are their
// config keys.
func (s splitting) newCells(c *checkout, cells map[int]*stack, gets map[int][]string) (added, secrets []string) {
	connection := pulumiconfig.Map{platformKey: pulumiconfig.NewValue(s.reference.String())}
	for key, value := range c.stacks[s.reference.stack].settings.Config {
		switch {
		case key.Namespace() != "postgresql":
		case value.Secure():
			secrets = append(secrets, key.String())
		default:
			connection[key] = value
		}
	}
	for _, number := range slices.Sorted(maps.Keys(gets)) {
		if cells[number] == nil {
			name := s.cellName(number)
			added = append(added, name)
			cells[number] = &stack{
				name: name, file: "Pulumi." + name + ".yaml",
				settings: &workspace.ProjectStack{Config: maps.Clone(connection)},
			}
		}
	}
	slices.Sort(secrets)
	return added, secrets
}

// takeDefaults gives the cell the tenantDefaults of the platform. It reports whether the cell had others.
// They hold for the tenants of a stack only, and a tenant is to have the same in every cell.
func (s *stack) takeDefaults(platform *stack) (changed bool, err error) {
	own, want := s.settings.Config[defaultsKey], platform.settings.Config[defaultsKey]
	has, err := own.Value(pulumiconfig.NopDecrypter)
	if err != nil {
		return false, fmt.Errorf("%s: %s: %w", s.file, defaultsKey, err)
	}
	gets, err := want.Value(pulumiconfig.NopDecrypter)
	if err != nil {
		return false, fmt.Errorf("%s: %s: %w", platform.file, defaultsKey, err)
	}
	if !own.Secure() && sameDefaults(has, gets) {
		return false, nil
	}
	if gets == "" {
		delete(s.settings.Config, defaultsKey)
	} else {
		s.settings.Config[defaultsKey] = want
	}
	return true, nil
}

// update writes the cell's file if its tenants change, or if its defaults have changed.
func (s *stack) update(dir string, has, gets tenants, defaults bool) error {
	before, err := json.Marshal(has)
	if err != nil {
		return err
	}
	after, err := json.Marshal(gets)
	if err != nil || bytes.Equal(before, after) && !defaults {
		return err
	}
	s.settings.Config[tenantsKey] = pulumiconfig.NewObjectValue(string(after))
	return s.settings.Save(filepath.Join(dir, s.file))
}

// summary is what a run did.
type summary struct {
	total, added, removed, changed int
	// defaults is how many cells have other tenantDefaults than before.
	defaults int
	sizes    []int
}

// add counts what changes in a cell, and writes a line for each tenant that is removed, because its data
// may be dropped.
func (r *summary) add(out io.Writer, cell string, had, has tenants) {
	r.sizes = append(r.sizes, len(has))
	for _, key := range slices.Sorted(maps.Keys(had)) {
		after, stays := has[key]
		switch {
		case !stays && had[key]["retire"] == "drop":
			r.removed++
			fmt.Fprintf(out, "%s: %s is removed with its data, because it was retired with drop\n", cell, key)
		case !stays:
			r.removed++
			fmt.Fprintf(out, "%s: %s is removed, but was not retired with drop, so protectTenants stops the cell's run at its schema\n", cell, key)
		case !reflect.DeepEqual(had[key], after):
			r.changed++
		}
	}
	for key := range has {
		if _, stayed := had[key]; !stayed {
			r.added++
		}
	}
}

func (r *summary) print(out io.Writer, platform string) {
	fmt.Fprintf(out, "%s: %d tenants in %d cells", platform, r.total, len(r.sizes))
	if len(r.sizes) > 0 {
		fmt.Fprintf(out, " of %d to %d", slices.Min(r.sizes), slices.Max(r.sizes))
	}
	fmt.Fprintf(out, "; %d new, %d changed, %d removed\n", r.added, r.changed, r.removed)
	if r.defaults > 0 {
		fmt.Fprintf(out, "tenantDefaults of %s: copied into %d cells\n", platform, r.defaults)
	}
}
