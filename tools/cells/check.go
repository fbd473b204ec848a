package cells

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"tenant-permissions/internal/config"
)

// claim is where a name or a tenant's key stands.
type claim struct{ file, path string }

// Check finds what two stacks of one platform both take: names of roles and schemas, of which a
// server has each once, and keys of tenants. PostgreSQL refuses the former only in the middle of a
// run. It also finds cells whose tenantDefaults are not those of the platform. If there is nothing of the kind, Check prints the full names of the platform and of its cells,
// one a line.
func (s *Stacks) Check(out io.Writer) error {
	names, err := s.check()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, strings.Join(names, "\n"))
	return err
}

// check is Check, and returns the full names.
func (s *Stacks) check() ([]string, error) {
	p, stacks := &config.Problems{}, s.all()
	if got := stacks[0].platform(); got != "" {
		p.Add(stacks[0].file+": "+platformKey.String(), "%s is not accepted: this stack is the platform, and no cell", config.Show(got))
	}
	for _, cell := range stacks[1:] {
		if got, want := cell.platform(), s.reference.String(); got != want {
			p.Add(cell.file+": "+platformKey.String(), "%s is not accepted: give %s, or another --organization", config.Show(got), config.Show(want))
		}
	}
	nameTaken, keyTaken := map[string]claim{}, map[string]claim{}
	var defaults config.Value // the platform's, which is the first
	var full []string
	for _, stack := range stacks {
		full = append(full, s.reference.fullName(stack.name))
		values, err := s.values(stack)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", stack.file, err)
		}
		if own := values[defaultsKey.String()]; stack == stacks[0] {
			defaults = own
		} else if !sameDefaults(own.Value, defaults.Value) {
			p.Add(stack.file+": "+defaultsKey.String(), "%s differs from %s of %s; run cells split, or give the same", config.Show(own.Value), config.Show(defaults.Value), stacks[0].file)
		}
		cfg, err := config.Load(values, os.LookupEnv)
		if err != nil {
			p.AddError(stack.file, err)
			continue
		}
		names := config.Names(cfg)
		for _, name := range slices.Sorted(maps.Keys(names)) {
			once(p, nameTaken, "the name", name, claim{stack.file, names[name]})
		}
		for _, key := range slices.Sorted(maps.Keys(cfg.Tenants)) {
			once(p, keyTaken, "the key", key, claim{stack.file, config.Join("tenants", key)})
		}
	}
	return full, p.Err()
}

// once adds a problem if something is taken already, and notes who takes it.
func once(p *config.Problems, taken map[string]claim, what, value string, by claim) {
	if first, twice := taken[value]; twice {
		p.Add(by.file+": "+by.path, "%s %s is already taken by %s of %s; choose another", what, config.Show(value), first.path, first.file)
		return
	}
	taken[value] = by
}
