package cells

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"
)

// claim is where a name or a tenant's key stands.
type claim struct{ file, path string }

// Check finds what two stacks of one platform both take: names of roles and schemas, of which a
// server has each once, and keys of tenants. PostgreSQL refuses the former only when half of the
// work is done. If there is nothing of the kind it prints the full names of the platform and of its
// cells, one a line.
func (s *Stacks) Check(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "tenant-permissions-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "program")
	if err := compile(ctx, s.dir, program); err != nil {
		return err
	}
	names, err := s.check(ctx, program)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, strings.Join(names, "\n"))
	return err
}

// check is Check with a compiled program. It returns the full names.
func (s *Stacks) check(ctx context.Context, program string) ([]string, error) {
	c, reference, stacks := s.checkout, s.reference, s.all()
	p, cells := &problems{}, stacks[1:]
	if got := stacks[0].platform(); got != "" {
		p.add(stacks[0].file+": "+platformKey.String(), show(got), "nothing: it is no cell")
	}

	for _, cell := range cells {
		if got, want := cell.platform(), reference.String(); got != want {
			p.add(cell.file+": "+platformKey.String(), show(got), show(want)+", or another --organization")
		}
	}

	names, failed := make([][]byte, len(stacks)), make([]error, len(stacks))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, stack := range stacks {
		group.Go(func() error {
			names[i], failed[i] = c.names(ctx, program, stack)
			return nil // every stack's problems are wanted
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}

	nameTaken, keyTaken := map[string]claim{}, map[string]claim{}
	for i, stack := range stacks {
		if failed[i] != nil {
			for line := range strings.SplitSeq(failed[i].Error(), "\n") {
				p.lines = append(p.lines, stack.file+": "+line)
			}
			continue
		}
		for lines := bufio.NewScanner(bytes.NewReader(names[i])); lines.Scan(); {
			name, path, _ := strings.Cut(lines.Text(), "\t")
			p.once(nameTaken, "a name", name, claim{stack.file, path})
		}
		members, err := stack.tenants()
		if err != nil {
			return nil, err // the program has accepted them
		}
		for key := range members {
			p.once(keyTaken, "a key", key, claim{stack.file, "tenants." + key})
		}
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	var full []string
	for _, stack := range stacks {
		full = append(full, reference.fullName(stack.name))
	}
	return full, nil
}

// once notes a problem if something is taken already.
func (p *problems) once(taken map[string]claim, what, value string, by claim) {
	if first, twice := taken[value]; twice {
		p.add(by.file+": "+by.path, show(value), fmt.Sprintf("%s that %s of %s does not have already", what, first.path, first.file))
		return
	}
	taken[value] = by
}

// names are the names that the program claims for the stack, with their paths, or its problems.
func (c *checkout) names(ctx context.Context, program string, s *stack) ([]byte, error) {
	settings, err := c.configJSON(s)
	if err != nil {
		return nil, err
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, program, "names")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(settings), &said
	output, err := cmd.Output()
	if err == nil {
		return output, nil
	}
	// The first line says that nothing was changed; the others are its problems, indented.
	lines := strings.Split(cmp.Or(strings.TrimSpace(said.String()), err.Error()), "\n  ")
	return nil, errors.New(strings.Join(lines[min(1, len(lines)-1):], "\n"))
}
