//go:build model

package tests

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A sequence is what happens to one stack on one server. There is one deployment for each step.
type sequence []modelStep

// A modelStep changes the config and damages the server, then deploys.
type modelStep struct {
	Changes []modelChange `json:"changes,omitempty"`
	Damage  []modelDamage `json:"damage,omitempty"`
	// Break is how the deployment breaks off, before it is repeated.
	Break modelBreak `json:"break,omitzero"`
}

// A modelChange is a change of the config. One that the config, as it is, does not allow changes nothing.
type modelChange struct {
	Do     string `json:"do"`
	Tenant string `json:"tenant"`
	// Arg chooses a variant.
	Arg int `json:"arg"`
}

// A modelDamage is something that a superuser does to the server. First and Second choose the roles and
// objects that it is done to, of those that there are.
type modelDamage struct {
	Do     string `json:"do"`
	First  int    `json:"first"`
	Second int    `json:"second"`
}

// A modelBreak stops a run once it has reported so many resources.
type modelBreak struct {
	After int    `json:"after"`
	How   string `json:"how"` // killed, or the server is shut down
}

// modelTenants are the tenants that a sequence adds and removes.
var modelTenants = []string{"acme", "globex", "hooli"}

// newSequence is the sequence of a seed.
func newSequence(seed uint64, steps int) sequence {
	random := rand.New(rand.NewPCG(seed, 0))
	var s sequence
	for range steps {
		var step modelStep
		for range 1 + random.IntN(4) {
			step.Changes = append(step.Changes, modelChange{
				Do: pick(random, sortedKeys(modelChanges)), Tenant: pick(random, modelTenants), Arg: random.IntN(8),
			})
		}
		if random.IntN(3) == 0 {
			for range 1 + random.IntN(4) {
				step.Damage = append(step.Damage, modelDamage{
					Do: pick(random, sortedKeys(modelDamages)), First: random.IntN(1000), Second: random.IntN(1000),
				})
			}
		}
		if random.IntN(5) == 0 {
			step.Break = modelBreak{After: 1 + random.IntN(15), How: pick(random, []string{"killed", "shutdown"})}
		}
		s = append(s, step)
	}
	return s
}

func pick[T any](random *rand.Rand, all []T) T { return all[random.IntN(len(all))] }

// String is the sequence as JSON, one step a line.
func (s sequence) String() string {
	var lines []string
	for _, step := range s {
		line, err := json.Marshal(step)
		if err != nil {
			panic(err) // It has only numbers and strings.
		}
		lines = append(lines, string(line))
	}
	return "[\n" + strings.Join(lines, ",\n") + "\n]"
}

// modelRuns is what TestModel is to do, by the environment.
type modelRuns struct {
	seeds []uint64
	steps int
	modes []string
	// file has one sequence, which is run in place of those of the seeds.
	file string
	// shorten is how long a failing sequence is made shorter.
	shorten time.Duration
}

func newModelRuns() (runs modelRuns, err error) {
	runs = modelRuns{steps: 8, modes: []string{"createrole", "superuser"}, shorten: 20 * time.Minute, file: os.Getenv("SEQUENCE")}
	if text := os.Getenv("STEPS"); text != "" {
		if runs.steps, err = strconv.Atoi(text); err != nil {
			return runs, fmt.Errorf("STEPS=%s is not a number", text)
		}
	}
	if text := os.Getenv("SHORTEN"); text != "" {
		if runs.shorten, err = time.ParseDuration(text); err != nil {
			return runs, fmt.Errorf("SHORTEN=%s is not a duration such as 20m", text)
		}
	}
	if mode := os.Getenv("MODE"); mode != "" {
		runs.modes = []string{mode}
	}
	for text := range strings.FieldsSeq(strings.ReplaceAll(os.Getenv("SEED"), ",", " ")) {
		first, last, found := strings.Cut(text, "-")
		if !found {
			last = first
		}
		from, err := strconv.ParseUint(first, 10, 64)
		to, err2 := strconv.ParseUint(last, 10, 64)
		if err != nil || err2 != nil {
			return runs, fmt.Errorf("SEED=%s is not a number, or two with a hyphen", text)
		}
		for seed := from; seed <= to; seed++ {
			runs.seeds = append(runs.seeds, seed)
		}
	}
	return runs, nil
}

// TestModel runs sequences of random changes, damage and broken runs. By default these are a few fixed
// ones, and those of testdata/model, each of which has found a mistake once. See make test-model for
// others.
func TestModel(t *testing.T) {
	runs, err := newModelRuns()
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	seeds, modes := runs.seeds, runs.modes
	switch {
	case runs.file != "":
		files = []string{runs.file}
	case len(seeds) == 0:
		modes = modes[:1] // in which each of them failed
		if files, err = filepath.Glob("testdata/model/*.json"); err != nil || len(files) == 0 {
			t.Fatal("no sequences in testdata/model", err)
		}
		seeds = []uint64{1, 2, 3, 4}
	}
	for _, file := range files {
		for _, mode := range modes {
			t.Run(filepath.Base(file)+" "+mode, func(t *testing.T) {
				t.Parallel()
				runSequence(t, "sequence", mode, readSequence(t, file))
			})
		}
	}
	for _, seed := range seeds {
		for i, mode := range runs.modes {
			if len(runs.seeds) > 0 || seed%2 == uint64(i) { // each fixed seed in one mode
				t.Run(fmt.Sprintf("seed %d %s", seed, mode), func(t *testing.T) {
					t.Parallel()
					runs.seed(t, seed, mode)
				})
			}
		}
	}
}

// seed runs the sequence of a seed. A failing one is made shorter, and the shortest is printed.
func (runs modelRuns) seed(t *testing.T, seed uint64, mode string) {
	t.Helper()
	s := newSequence(seed, runs.steps)
	done := runSequence(t, "sequence", mode, s)
	if done == len(s) {
		return
	}
	shortest, until := s[:done+1], time.Now().Add(runs.shorten)
	for i := 0; i < len(shortest.parts()) && time.Now().Before(until); {
		shorter := shortest.without(i)
		if done := runSequence(t, "shorter", mode, shorter); done < len(shorter) {
			shortest, i = shorter[:done+1], 0
		} else {
			i++
		}
	}
	t.Errorf("seed %d fails. This is the shortest sequence that was found to fail. Write it into a file and run make test-model SEQUENCE=/path/of/the/file MODE=%s\n%s", seed, mode, shortest)
}

// parts are what can be left out of a sequence: whole steps, then single items of each, the last first.
func (s sequence) parts() (parts []func(sequence) sequence) {
	for i := len(s) - 1; i >= 0; i-- {
		parts = append(parts, func(s sequence) sequence { return slices.Delete(slices.Clone(s), i, i+1) })
	}
	for i, step := range slices.Backward(s) {
		edit := func(edit func(*modelStep)) {
			parts = append(parts, func(s sequence) sequence {
				s = slices.Clone(s)
				edit(&s[i])
				return s
			})
		}
		for j := range step.Changes {
			edit(func(step *modelStep) { step.Changes = slices.Delete(slices.Clone(step.Changes), j, j+1) })
		}
		for j := range step.Damage {
			edit(func(step *modelStep) { step.Damage = slices.Delete(slices.Clone(step.Damage), j, j+1) })
		}
		if step.Break.After > 0 {
			edit(func(step *modelStep) { step.Break = modelBreak{} })
		}
	}
	return parts
}

func (s sequence) without(part int) sequence { return s.parts()[part](s) }

func readSequence(t *testing.T, file string) (s sequence) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(content, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// runSequence runs a sequence on a new server, as a subtest. It returns how many steps passed: all, and
// the end too, if the number is that of the steps; none means that the last did not.
func runSequence(t *testing.T, name, mode string, s sequence) (passed int) {
	t.Helper()
	t.Run(name+" "+mode, func(t *testing.T) {
		r := newModelRun(t, mode == "superuser")
		r.deploy(t, modelStep{})
		for _, step := range s {
			t.Log("a step: ", sequence{step})
			if r.deploy(t, step); t.Failed() {
				t.FailNow()
			}
			passed++
		}
		passed--
		if r.end(t); !t.Failed() {
			passed++
		}
	})
	return passed
}

// modelRun is a stack, and what the model says about it.
type modelRun struct {
	*platform
	config modelConfig
	// outputsFile has the outputs of the last run, without secrets.
	outputsFile string
	// objects are what compare found in each database.
	objects map[string][]accessObject
	// broken is true after a run that broke off.
	broken bool
	// before are the roles that the server had before the stack.
	before []string
}

// outsider is a login that nobody grants anything.
const outsider, outsiderPassword = "outsider", "outsider-password"

func newModelRun(t *testing.T, superuser bool) *modelRun {
	t.Helper()
	r := &modelRun{platform: newPlatform(t, superuser), config: newModelConfig(), outputsFile: filepath.Join(t.TempDir(), "outputs.json")}
	r.prepareDatabases(t)
	r.superuser(t, database).may(t, "CREATE ROLE "+outsider+" LOGIN PASSWORD '"+outsiderPassword+"'")
	r.superuser(t, "postgres").may(t, "CREATE DATABASE "+closedDatabase+" OWNER "+r.user)
	r.before = r.lines(t, database, allRoles)
	return r
}

// deploy takes a step and compares the server with the model.
func (r *modelRun) deploy(t *testing.T, step modelStep) {
	t.Helper()
	next := r.config.changed(t, step.Changes)
	for _, damage := range step.Damage {
		r.damage(t, damage)
	}
	r.config = next
	r.write(t)
	if len(step.Damage) > 0 {
		// A setting of a role can stop every run. Those IN DATABASE are no resource's.
		r.resetSettings(t)
	}
	if step.Break.After > 0 {
		r.breakOff(t, step.Break)
	}
	if len(step.Damage) > 0 {
		r.repairAll(t)
	} else {
		r.again(t, r.tryDeploy)
	}
	r.closeSchemasPublic(t)
	r.saveOutputs(t, r.outputsFile)
	if step.Break.After > 0 {
		r.setPasswords(t)
	}
	if found := r.audit(t); len(found) > 0 {
		t.Errorf("the audit finds %v", found)
	}
	r.clean(t)
	r.migrate(t)
	r.compare(t)
	r.tryLogins(t)
}

// write writes the config of the model for the CLI.
func (r *modelRun) write(t *testing.T) {
	t.Helper()
	r.settings = r.config.settings()
	r.configure(t, r.config.tenants(), r.config.roles(), r.config.readers())
}

// allRoles and the others are queries of what must be gone after destroy.
const (
	allRoles     = "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_'"
	allSchemas   = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('public', 'information_schema')"
	allDatabases = "SELECT datname FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1', '" + database + "', '" + closedDatabase + "')"
	allDefaults  = "SELECT format('%s %s', defaclrole::regrole, defaclacl) FROM pg_default_acl"
)

// end destroys the stack and looks for what is left.
func (r *modelRun) end(t *testing.T) {
	t.Helper()
	r.config.allowDrops()
	r.write(t)
	r.again(t, r.tryDeploy)
	r.again(t, r.tryDestroy)
	noneOnlyIn(t, "left behind: role", r.lines(t, database, allRoles), r.before)
	for _, query := range []string{allSchemas, allDatabases, allDefaults} {
		if left := r.lines(t, database, query); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}
