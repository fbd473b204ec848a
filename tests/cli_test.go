package tests

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
)

// newStack makes a stack of the project in a folder. Its secrets have their key from [transit].
func newStack(ctx context.Context, name, dir string, env map[string]string) (auto.Stack, error) {
	return auto.NewStackLocalSource(ctx, name, dir, auto.Pulumi(tools.command), auto.EnvVars(env), auto.SecretsProvider("hashivault://tests"))
}

// compiled is the file in the folder of a project that has the path of the compiled program.
const compiled = "compiled"

// writeGo writes a command go that compiles such a project by linking to the program, and any other as
// Go does. The language host compiles a project at each run, and even the launcher's few lines take it
// a fifth of the time of an update.
func writeGo(dir string) error {
	found, err := exec.LookPath("go")
	if err != nil {
		return err
	}
	if found, err = filepath.Abs(found); err != nil {
		return err
	}
	script := fmt.Sprintf(`#!/bin/sh
if [ "$1" = build ] && [ "$2" = -o ] && [ $# = 3 ] && [ -e %[1]s ]; then
	read -r program <%[1]s && exec ln -sf "$program" "$3"
fi
exec '%[2]s' "$@"
`, compiled, found)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "go"), []byte(script), 0o755)
}

// transit is what Pulumi uses of the transit engine of HashiCorp's Vault: it wraps the key that
// encrypts a stack's secrets. This one only changes the key's name in the message. With a passphrase,
// every command of the CLI would compute the key from it, which takes longer than its other work.
func transit() http.Handler {
	answer := func(from, to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			var message map[string]string
			if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"data": {%q: %q}}`, to, message[from])
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/transit/encrypt/tests", answer("plaintext", "ciphertext"))
	mux.HandleFunc("/v1/transit/decrypt/tests", answer("ciphertext", "plaintext"))
	return mux
}

// run runs a command of the CLI on the stack and returns the events of its engine. The automation API
// would run three more commands after each update, for the outputs and the history.
func (p *platform) run(t *testing.T, args ...string) ([]apitype.EngineEvent, error) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "events")
	env := []string{"PULUMI_DEBUG_COMMANDS=true"} // which has --event-log
	workspace := p.stack.Workspace()
	for name, value := range workspace.GetEnvVars() {
		env = append(env, name+"="+value)
	}
	said := []io.Writer{&p.printed}
	stdout, stderr, _, failed := tools.command.Run(t.Context(), workspace.WorkDir(), nil, said, said, env,
		append(args, "--stack", p.stack.Name(), "--event-log", log)...)
	if failed != nil {
		failed = fmt.Errorf("pulumi %s: %w\n%s\n%s", args[0], failed, stdout, stderr)
	}
	events, err := readEvents(log)
	return events, errors.Join(failed, err)
}

// readEvents reads the events that the CLI wrote to a file, none if it did not get that far.
func readEvents(path string) ([]apitype.EngineEvent, error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var events []apitype.EngineEvent
	for lines := json.NewDecoder(file); ; {
		var event apitype.EngineEvent
		if err := lines.Decode(&event); errors.Is(err, io.EOF) {
			return events, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		events = append(events, event)
	}
}

// up deploys and returns how many resources were created, updated, replaced, deleted and left
// the same, by those words.
func (p *platform) up(t *testing.T) map[string]int {
	t.Helper()
	changes, err := p.tryUp(t)
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

func (p *platform) tryUp(t *testing.T) (map[string]int, error) {
	t.Helper()
	events, err := p.runUp(t)
	if err != nil {
		return nil, err
	}
	changes := map[string]int{}
	for _, event := range events {
		if event.SummaryEvent != nil {
			for step, count := range event.SummaryEvent.ResourceChanges {
				changes[string(step)] += count
			}
		}
	}
	return changes, nil
}

// runUp deploys, with further flags for the CLI.
func (p *platform) runUp(t *testing.T, flags ...string) ([]apitype.EngineEvent, error) {
	t.Helper()
	return p.run(t, append([]string{"up", "--yes", "--skip-preview", "--parallel", "8"}, flags...)...)
}

// repair deploys to the server as it is now.
func (p *platform) repair(t *testing.T) error {
	t.Helper()
	_, err := p.runUp(t, "--refresh")
	return err
}

// refresh writes down in the state what is on the server.
func (p *platform) refresh(t *testing.T, flags ...string) {
	t.Helper()
	if _, err := p.run(t, append([]string{"refresh", "--yes", "--skip-preview"}, flags...)...); err != nil {
		t.Fatal(err)
	}
}

// clean fails unless a preview against the server as it is now finds nothing to do.
func (p *platform) clean(t *testing.T) {
	t.Helper()
	if _, err := p.run(t, "preview", "--refresh", "--expect-no-changes", "--diff"); err != nil {
		t.Errorf("not clean: %v", err)
	}
}

func (p *platform) tryDestroy(t *testing.T) error {
	t.Helper()
	_, err := p.run(t, "destroy", "--yes", "--skip-preview")
	return err
}

func (p *platform) destroy(t *testing.T) {
	t.Helper()
	if err := p.tryDestroy(t); err != nil {
		t.Fatal(err)
	}
}

// pulumi runs a command of the CLI that has no engine, and returns what it prints.
func (p *platform) pulumi(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tools.toolchain.Pulumi(), args...)
	cmd.Dir, cmd.Env = p.dir, os.Environ()
	for name, value := range p.stack.Workspace().GetEnvVars() {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("pulumi %s: %v\n%s%s", strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

// outputs are those of the stack, read from its state. The CLI would take two commands for them, which is
// as much work as an update.
func (p *platform) outputs(t *testing.T) auto.OutputMap {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(p.backend, ".pulumi", "stacks", "*", p.stack.Name()+".json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the stack %s has the states %v in %s: %v", p.stack.Name(), files, p.backend, err)
	}
	state, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(state)
	if p.known == nil || p.knownOf != hash {
		outputs, err := readOutputs(t.Context(), state)
		if err != nil {
			t.Fatalf("%s: %v", files[0], err)
		}
		p.known, p.knownOf = outputs, hash
	}
	return p.known
}

// readOutputs returns the outputs in a state whose secrets have their key from [transit]. There are none
// before the first update.
func readOutputs(ctx context.Context, state []byte) (auto.OutputMap, error) {
	var file struct{ Checkpoint apitype.CheckpointV3 }
	if err := json.Unmarshal(state, &file); err != nil {
		return nil, err
	}
	outputs := auto.OutputMap{}
	latest := file.Checkpoint.Latest
	if latest == nil {
		return outputs, nil
	}
	var provider struct{ EncryptedKey []byte }
	if err := json.Unmarshal(latest.SecretsProviders.State, &provider); err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(string(provider.EncryptedKey))
	if err != nil {
		return nil, err
	}
	crypter := config.NewSymmetricCrypter(key)
	for _, r := range latest.Resources {
		if r.Type != resource.RootStackType {
			continue
		}
		for name, value := range r.Outputs {
			encrypted, _ := value.(map[string]any)
			secret := encrypted[resource.SigKey] == resource.SecretSig
			if secret {
				text, err := crypter.DecryptValue(ctx, fmt.Sprint(encrypted["ciphertext"]))
				if err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
				if err := json.Unmarshal([]byte(text), &value); err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
			}
			outputs[name] = auto.OutputValue{Value: value, Secret: secret}
		}
	}
	return outputs, nil
}

// passwords are the exported ones, by login name.
func (p *platform) passwords(t *testing.T) map[string]string {
	t.Helper()
	exported := p.outputs(t)["passwords"]
	if !exported.Secret {
		t.Fatal("the output passwords is not secret")
	}
	passwords := map[string]string{}
	for login, password := range exported.Value.(map[string]any) {
		passwords[login] = password.(string)
	}
	return passwords
}
