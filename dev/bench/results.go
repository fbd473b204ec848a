package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/modfile"
)

// Steps that are measured.
const (
	stepUp      = "up"      // of nothing but empty stacks
	stepPreview = "preview" // of all stacks, nothing changed
	stepRefresh = "refresh" // the same with --refresh
	stepOne     = "one"     // unchanged preview of one stack, a cell where there are cells
	stepAdd     = "add"     // one tenant to one stack
	stepRotate  = "rotate"  // the password of one tenant of one stack
	stepDestroy = "destroy" // all stacks
)

// results are everything measured so far, as it is kept in benchmarks.json.
type results struct {
	Measurements []*measurement `json:"measurements"`
	Choices      []*choice      `json:"choices"`
	Databases    *databases     `json:"databases,omitempty"`
	// Catalogs are servers with many tenants.
	Catalogs []*catalog `json:"catalogs,omitempty"`
}

// environment is what figures must have in common to be compared.
type environment struct {
	CPU       string `json:"cpu"`
	Cores     int    `json:"cores"`
	MemoryGiB int    `json:"memoryGiB"`
	System    string `json:"system"`
	// Versions.
	PostgreSQL string `json:"postgresql"`
	CLI        string `json:"cli"`
	Plugins    string `json:"plugins"`
	// StandIns is true if the plugins were this project's stand-ins for the official ones.
	StandIns bool `json:"standIns"`
}

// measurement is one layout with one number of tenants, each step measured once or more often.
type measurement struct {
	Date        string      `json:"date"`
	Environment environment `json:"environment"`
	Layout      layout      `json:"layout"`
	Tenants     int         `json:"tenants"`
	// Seconds and Logins by step.
	Seconds map[string][]float64 `json:"seconds"`
	Logins  map[string]int       `json:"logins"`
	// StateBytes is the size of all stacks' states after the first up.
	StateBytes int64 `json:"stateBytes"`
	// PeakBytes is the largest resident size of one CLI with its plugins in any step.
	PeakBytes int64 `json:"peakBytes"`
}

func newMeasurement(l layout, tenants int) *measurement {
	return &measurement{Layout: l, Tenants: tenants, Seconds: map[string][]float64{}, Logins: map[string]int{}}
}

func (m *measurement) note(step string, c cost) {
	m.Seconds[step] = append(m.Seconds[step], c.Seconds)
	m.Logins[step] = c.Logins
	m.PeakBytes = max(m.PeakBytes, c.Peak)
}

// median of what a step took in seconds, 0 if it was not measured.
func (m *measurement) median(step string) float64 {
	if m == nil {
		return 0
	}
	return median(m.Seconds[step])
}

func (m *measurement) String() string {
	var words []string
	for _, step := range sortedKeys(m.Seconds) {
		words = append(words, fmt.Sprintf("%s %.2fs", step, m.median(step)))
	}
	return strings.Join(words, ", ")
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	values = slices.Sorted(slices.Values(values))
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

// add takes a measurement in. It joins the one there is of the same layout, number of tenants and
// environment, or takes its place.
func (r *results) add(m *measurement, join bool) {
	i := slices.IndexFunc(r.Measurements, func(other *measurement) bool {
		return other.Environment == m.Environment && other.Layout == m.Layout && other.Tenants == m.Tenants
	})
	switch {
	case i < 0:
		r.Measurements = append(r.Measurements, m)
	case join:
		for step, seconds := range m.Seconds {
			m.Seconds[step] = append(slices.Clone(r.Measurements[i].Seconds[step]), seconds...)
		}
		m.PeakBytes = max(m.PeakBytes, r.Measurements[i].PeakBytes)
		fallthrough
	default:
		r.Measurements[i] = m
	}
}

// environments in which anything was measured, official plugins first.
func (r *results) environments() (all []environment) {
	add := func(env environment) {
		if !slices.Contains(all, env) {
			all = append(all, env)
		}
	}
	for _, m := range r.Measurements {
		add(m.Environment)
	}
	for _, c := range r.Choices {
		add(c.Environment)
	}
	slices.SortStableFunc(all, func(a, b environment) int {
		return strings.Compare(strconv.FormatBool(a.StandIns), strconv.FormatBool(b.StandIns))
	})
	return all
}

// of is what was measured of a layout in an environment, by number of tenants.
func (r *results) of(env environment, l layout) map[int]*measurement {
	found := map[int]*measurement{}
	for _, m := range r.Measurements {
		if m.Environment == env && m.Layout == l {
			found[m.Tenants] = m
		}
	}
	return found
}

func loadResults(docs string) (*results, error) {
	content, err := os.ReadFile(filepath.Join(docs, "benchmarks.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return &results{}, nil
	}
	if err != nil {
		return nil, err
	}
	var r results
	return &r, json.Unmarshal(content, &r)
}

func (r *results) save(docs string) error {
	content, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(docs, 0o755), os.WriteFile(filepath.Join(docs, "benchmarks.json"), append(content, '\n'), 0o644))
}

// machine finds out about this machine.
func machine() environment {
	env := environment{Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH}
	env.CPU = firstMatch("/proc/cpuinfo", `(?m)^model name\s*:\s*(.*)`)
	if kib, err := strconv.ParseInt(firstMatch("/proc/meminfo", `(?m)^MemTotal:\s*(\d+) kB`), 10, 64); err == nil {
		env.MemoryGiB = int((kib + 1<<19) >> 20)
	}
	return env
}

// environment finds out about this machine and what runs on it.
func (t *tools) environment(ctx context.Context) (environment, error) {
	env := machine()
	env.StandIns = t.Offline
	cmd := exec.CommandContext(ctx, t.Pulumi(), "version")
	cmd.Env = append(os.Environ(), t.Env()...)
	version, err := cmd.Output()
	if err != nil {
		return env, fmt.Errorf("pulumi version: %w", err)
	}
	env.CLI = strings.TrimSpace(string(version))
	content, err := os.ReadFile(filepath.Join(t.checkout, "go.mod"))
	if err != nil {
		return env, err
	}
	module, err := modfile.Parse("go.mod", content, nil)
	if err != nil {
		return env, err
	}
	for _, required := range module.Require {
		for path, name := range map[string]string{
			"github.com/pulumi/pulumi-postgresql/sdk/v3": "postgresql",
			"github.com/pulumi/pulumi-random/sdk/v4":     "random",
		} {
			if required.Mod.Path == path {
				env.Plugins = strings.TrimPrefix(env.Plugins+", "+name+" "+required.Mod.Version, ", ")
			}
		}
	}
	s, err := t.newSite(ctx)
	if err != nil {
		return env, err
	}
	env.PostgreSQL, err = s.version(ctx)
	return env, errors.Join(err, s.server.Stop())
}

// firstMatch is the first group of a pattern in a file, "" without either.
func firstMatch(path, pattern string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	if match := regexp.MustCompile(pattern).FindStringSubmatch(string(content)); match != nil {
		return match[1]
	}
	return ""
}
