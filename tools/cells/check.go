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

// place is where a config has a name or a tenant's key.
type place struct{ file, path string }

// Check reports what two stacks of one platform both take: names of roles, schemas and databases, of
// which a server has each once, and keys of tenants. Without it, PostgreSQL would refuse the names in
// the middle of a run. It also reports cells whose tenantDefaults are not those of the platform. If no
// problem is found, Check prints the full names of the platform and of its cells, one a line.
func (s *Stacks) Check(out io.Writer) error {
	names, err := s.check()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, strings.Join(names, "\n"))
	return err
}

// check does what Check does, but returns the full names instead of printing them.
func (s *Stacks) check() ([]string, error) {
	p, stacks := &config.Problems{}, s.all()
	if got := stacks[0].platform(); got != "" {
		p.Add(stacks[0].file+": "+platformKey.String(), "%s is not accepted: this stack is the platform, not a cell; unset the key, or give another --platform", config.Show(got))
	}
	for _, cell := range stacks[1:] {
		if got, want := cell.platform(), s.reference.String(); got != want {
			p.Add(cell.file+": "+platformKey.String(), "%s is not accepted: give %s, or another --organization", config.Show(got), config.Show(want))
		}
	}
	nameTaken, databaseTaken, keyTaken := map[string]place{}, map[string]place{}, map[string]place{}
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
			once(p, nameTaken, "the name", name, place{stack.file, names[name]})
		}
		databases := config.TenantDatabases(cfg)
		for _, name := range slices.Sorted(maps.Keys(databases)) {
			once(p, databaseTaken, "the database", name, place{stack.file, databases[name]})
		}
		for _, key := range slices.Sorted(maps.Keys(cfg.Tenants)) {
			once(p, keyTaken, "the key", key, place{stack.file, config.Join("tenants", key)})
		}
	}
	return full, p.Err()
}

// once records that something is taken, and adds a problem if it is taken already.
func once(p *config.Problems, taken map[string]place, what, value string, by place) {
	if first, twice := taken[value]; twice {
		p.Add(by.file+": "+by.path, "%s %s is already taken by %s of %s; choose another", what, config.Show(value), first.path, first.file)
		return
	}
	taken[value] = by
}
