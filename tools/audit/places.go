package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"gopkg.in/yaml.v3"

	"tenant-permissions/internal/config"
)

// place is a line of a file. The file is relative to the root of its repository, or to the working
// directory if it is in none, with slashes.
type place struct {
	file string
	line int
}

func (p place) String() string { return fmt.Sprintf("%s:%d", p.file, p.line) }

// places are where findings belong: to the line of their tenant in the file of its stack.
type places struct {
	// first is the first line of the first file, for findings without a tenant, and for tenants that no
	// file has.
	first   place
	tenants map[string]place
}

// of is where a finding belongs. Without files it is the zero place.
func (p *places) of(f Finding) place {
	if found, ok := p.tenants[f.Tenant]; ok {
		return found
	}
	return p.first
}

// readStackFiles reads where the files Pulumi.<stack>.yaml of stacks have their tenants. It reports all
// problems at once.
func readStackFiles(files []string) (*places, error) {
	p := &places{tenants: map[string]place{}}
	var problems []error
	for i, file := range files {
		shown, err := fromRoot(file)
		if err != nil {
			problems = append(problems, fmt.Errorf("--stack-file: %w", err))
			continue
		}
		if i == 0 {
			p.first = place{shown, 1}
		}
		lines, err := tenantLines(file)
		if err != nil {
			problems = append(problems, fmt.Errorf("--stack-file: %s: %w", file, err))
		}
		for _, key := range sortedKeys(lines) {
			if other, twice := p.tenants[key]; twice {
				problems = append(problems, fmt.Errorf("--stack-file: %s has %s, which %s has already; give the files of the stacks of one database", file, config.Join("tenants", key), other))
			}
			p.tenants[key] = place{shown, lines[key]}
		}
	}
	return p, errors.Join(problems...)
}

// fromRoot is a file as seen from the root of its repository, or from the working directory if that is in
// none.
func fromRoot(file string) (string, error) {
	file, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	root, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := filepath.Dir(file); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, ".git")); err == nil {
			root = dir
			break
		}
	}
	file, err = filepath.Rel(root, file)
	return filepath.ToSlash(file), err
}

// tenantLines are the lines of the tenants in the file of a stack, by their keys. A file may have the
// tenants as JSON in a text, which is on one line.
func tenantLines(file string) (map[string]int, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var document struct {
		Config map[string]yaml.Node `yaml:"config"`
	}
	if err := yaml.Unmarshal(content, &document); err != nil {
		return nil, fmt.Errorf("not the file of a stack: %w", err)
	}
	if document.Config == nil {
		return nil, errors.New("not the file of a stack, which has the key config; give Pulumi.<stack>.yaml")
	}
	lines, tenants := map[string]int{}, document.Config[config.Namespace+":tenants"]
	var keys map[string]json.RawMessage
	if tenants.Kind == yaml.ScalarNode && json.Unmarshal([]byte(tenants.Value), &keys) == nil {
		for key := range keys {
			lines[key] = tenants.Line
		}
	}
	if tenants.Kind == yaml.MappingNode {
		for i := 0; i < len(tenants.Content); i += 2 {
			lines[tenants.Content[i].Value] = tenants.Content[i].Line
		}
	}
	return lines, nil
}
