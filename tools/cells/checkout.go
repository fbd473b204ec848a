package cells

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	pulumiconfig "github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"

	"tenant-permissions/internal/config"
)

var (
	platformKey = pulumiconfig.MustMakeKey("tenant-permissions", "platform")
	tenantsKey  = pulumiconfig.MustMakeKey("tenant-permissions", "tenants")
	defaultsKey = pulumiconfig.MustMakeKey("tenant-permissions", "tenantDefaults")
)

// checkout is a folder with the project and the files of its stacks.
type checkout struct {
	dir     string
	project *workspace.Project
	stacks  map[string]*stack
}

// stack is one stack's file.
type stack struct {
	// name is the stack's name, file the file's.
	name, file string
	settings   *workspace.ProjectStack
}

// findCheckout is the absolute path of a checkout.
func findCheckout(dir string) (string, error) {
	start, err := filepath.Abs(dir)
	if err != nil || dir != "" {
		return start, err
	}
	for at := start; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "Pulumi.yaml")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("neither %s nor a folder above it has a Pulumi.yaml: run this in a checkout, or give --checkout", start)
		}
	}
}

// loadCheckout reads Pulumi.yaml and every Pulumi.<stack>.yaml. The error names all
// files that cannot be read, because any of them may be a cell.
func loadCheckout(dir string) (*checkout, error) {
	project, err := workspace.LoadProject(filepath.Join(dir, "Pulumi.yaml"))
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "Pulumi.*.yaml"))
	if err != nil {
		return nil, err
	}
	c := &checkout{dir: dir, project: project, stacks: map[string]*stack{}}
	p := &config.Problems{}
	for _, path := range files {
		s := &stack{file: filepath.Base(path)}
		s.name = strings.TrimSuffix(strings.TrimPrefix(s.file, "Pulumi."), ".yaml")
		s.settings, err = workspace.LoadProjectStack(nil, project, path)
		if err != nil {
			p.AddError(s.file, err)
		}
		c.stacks[s.name] = s
	}
	return c, p.Err()
}

// platformReference is how cells name their platform.
type platformReference struct{ organization, project, stack string }

func (r platformReference) String() string { return r.fullName(r.stack) }

// fullName is the name of a stack that is in the same project and organization.
func (r platformReference) fullName(stack string) string {
	return strings.Join([]string{r.organization, r.project, stack}, "/")
}

// reference is a platform's. If no organization is given it is that of the first cell.
func (c *checkout) reference(organization, platform string) platformReference {
	if cells := c.cells(platform); organization == "" && len(cells) > 0 {
		organization, _, _ = strings.Cut(cells[0].platform(), "/")
	}
	return platformReference{cmp.Or(organization, "organization"), c.project.Name.String(), platform}
}

// cells are the stacks that take the shared roles from the platform, whatever its organization is
// called, by name.
func (c *checkout) cells(platform string) []*stack {
	var cells []*stack
	for _, name := range slices.Sorted(maps.Keys(c.stacks)) {
		parts := strings.Split(c.stacks[name].platform(), "/")
		if len(parts) == 3 && parts[1] == c.project.Name.String() && parts[2] == platform {
			cells = append(cells, c.stacks[name])
		}
	}
	return cells
}

// platform is the stack that this one is a cell of, empty if it is none.
func (s *stack) platform() string {
	value, err := s.settings.Config[platformKey].Value(pulumiconfig.NopDecrypter)
	if err != nil || s.settings.Config[platformKey].Secure() {
		return "" // check reports it
	}
	return value
}

// tenants are the stack's tenants by key.
func (s *stack) tenants() (tenants, error) {
	value, set := s.settings.Config[tenantsKey]
	if !set {
		return nil, nil
	}
	text, err := value.Value(pulumiconfig.NopDecrypter)
	if err != nil {
		return nil, err
	}
	var t tenants
	if err := json.Unmarshal([]byte(text), &t); err != nil || value.Secure() {
		return nil, errors.New("the value is a secret or no object; give tenants by key, without --secret")
	}
	return t, nil
}

// sameDefaults reports whether two values of tenantDefaults, as JSON, mean the same. "" is none.
func sameDefaults(a, b string) bool {
	if a == b {
		return true
	}
	var first, second any
	if json.Unmarshal([]byte(cmp.Or(a, "{}")), &first) != nil || json.Unmarshal([]byte(cmp.Or(b, "{}")), &second) != nil {
		return false // the program says what is wrong with it
	}
	return reflect.DeepEqual(first, second)
}

// values are the values of the stack's config, but for the secrets.
func (c *checkout) values(s *stack) (config.Values, error) {
	all := config.Values{}
	for key, declared := range c.project.Config {
		value := declared.Value // for all stacks, unless they have their own
		if value == nil {
			value = declared.Default
		}
		if value == nil {
			continue
		}
		text, isText := value.(string)
		if !isText {
			encoded, err := json.Marshal(value)
			if err != nil {
				return nil, fmt.Errorf("the value of %s in Pulumi.yaml: %w", key, err)
			}
			text = string(encoded)
		}
		if !strings.Contains(key, ":") {
			key = c.project.Name.String() + ":" + key
		}
		all[key] = config.Value{Value: text, Secret: declared.Secret}
	}
	for key, value := range s.settings.Config {
		if value.Secure() {
			all[key.String()] = config.Value{Secret: true}
			continue
		}
		text, err := value.Value(pulumiconfig.NopDecrypter)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		all[key.String()] = config.Value{Value: text}
	}
	return all, nil
}
