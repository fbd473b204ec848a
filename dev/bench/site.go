package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"tenant-permissions/dev/postgres"
	"tenant-permissions/dev/toolchain"
	"tenant-permissions/internal/launcher"
)

// tools are what every measurement shares.
type tools struct {
	*toolchain.Toolchain
	// checkout is the program's folder, dir a temporary one, program the program compiled.
	checkout, dir, program string
	// parallel is the CLI's --parallel, jobs how many stacks run at once.
	parallel, jobs int
	progress       io.Writer
}

// site is a server of its own and stacks on it, in one backend.
type site struct {
	*tools
	server   *postgres.Server
	database string
	// project is the folder of Pulumi.yaml and the stacks' config.
	project, backend string
	// env is the CLI's environment; flags are added to every command.
	env, flags []string
}

// stack is one stack's config.
type stack struct {
	name string
	// platform is the stack whose roles a cell uses, "" for a stack with its own.
	platform string
	// isolation is that of the tenants, "" for the default.
	isolation string
	// tenants are the password versions by key.
	tenants map[string]int
}

// cost is what one command, or several at once, took.
type cost struct {
	// Seconds of wall clock, and of all processors together.
	Seconds, CPU float64
	// Peak is the largest sum of the resident sizes of a CLI and all its processes, in bytes; 0
	// if the system has no such figure. Of several at once it is that of one.
	Peak int64
	// Logins are the connections that the server accepted.
	Logins int
}

// newSite starts a server and makes an empty backend and a project.
func (t *tools) newSite(ctx context.Context) (_ *site, err error) {
	s := &site{tools: t}
	if s.project, err = os.MkdirTemp(t.dir, "site-"); err != nil {
		return nil, err
	}
	s.backend = filepath.Join(s.project, "backend")
	if err := os.Mkdir(s.backend, 0o700); err != nil {
		return nil, err
	}
	home, err := s.newHome("home")
	if err != nil {
		return nil, err
	}
	if err := s.useProgram(t.program); err != nil {
		return nil, err
	}
	s.server, err = postgres.Start(ctx, postgres.Options{
		Version:  os.Getenv("POSTGRES"),
		Settings: map[string]string{"log_connections": "on"},
		Progress: t.progress,
	})
	if err != nil {
		return nil, err
	}
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "PULUMI_") && !strings.HasPrefix(pair, "PG") {
			s.env = append(s.env, pair)
		}
	}
	s.env = append(s.env, t.Env()...)
	s.env = append(s.env,
		"PULUMI_HOME="+home,
		"PULUMI_BACKEND_URL=file://"+s.backend,
		"PULUMI_CONFIG_PASSPHRASE=for the benchmark",
		"GOGC=400", // as tenantctl cells deploy does
		"PGHOST="+s.server.Host, "PGPORT="+strconv.Itoa(s.server.Port),
		"PGUSER="+s.server.User, "PGPASSWORD="+s.server.Password, "PGSSLMODE=disable")
	return s, s.newDatabase(ctx, "first")
}

// newHome makes a home for the CLI, which keeps its logs apart; the installed plugins are the user's.
func (s *site) newHome(name string) (string, error) {
	users, err := pulumiHome()
	if err != nil {
		return "", err
	}
	home := filepath.Join(s.project, name)
	if err := os.Mkdir(home, 0o700); err != nil {
		return "", err
	}
	return home, os.Symlink(filepath.Join(users, "plugins"), filepath.Join(home, "plugins"))
}

func pulumiHome() (string, error) {
	if home := os.Getenv("PULUMI_HOME"); home != "" {
		return home, nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".pulumi"), err
}

// useProgram makes the project's program the compiled one.
func (s *site) useProgram(program string) error {
	project, err := os.ReadFile(filepath.Join(s.checkout, "Pulumi.yaml"))
	if err != nil {
		return err
	}
	return launcher.WriteProject(s.project, project, program)
}

func writeFiles(dir string, files map[string]string) error {
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// newDatabase makes an empty database for the stacks from here on. What was dropped before is
// cleaned out of the catalogs.
func (s *site) newDatabase(ctx context.Context, name string) error {
	s.database = name
	if err := s.server.CreateDatabase(ctx, name); err != nil {
		return err
	}
	return s.connected(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "VACUUM FULL")
		return err
	})
}

// connected does something as the superuser.
func (s *site) connected(ctx context.Context, do func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, s.server.DSN(s.server.User, s.server.Password, s.database))
	if err != nil {
		return err
	}
	return errors.Join(do(conn), conn.Close(context.WithoutCancel(ctx)))
}

// create makes the stacks, without resources.
func (s *site) create(ctx context.Context, stacks []*stack) error {
	for _, stack := range stacks {
		if _, err := s.pulumi(ctx, "stack", "init", "--no-select", "--stack", stack.name); err != nil {
			return err
		}
		if err := s.configure(stack); err != nil {
			return err
		}
	}
	return nil
}

// configure writes the stack's config, and keeps the salt of its secrets.
func (s *site) configure(stack *stack) error {
	path := filepath.Join(s.project, "Pulumi."+stack.name+".yaml")
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	tenants := map[string]any{}
	for key, version := range stack.tenants {
		tenant := map[string]any{"passwordVersion": version}
		if stack.isolation != "" {
			tenant["isolation"] = stack.isolation
		}
		tenants[key] = tenant
	}
	settings := map[string]any{
		"postgresql:database":               s.database,
		"tenant-permissions:protectTenants": false, // or destroy would refuse
		"tenant-permissions:tenants":        tenants,
	}
	if stack.platform != "" {
		settings["tenant-permissions:platform"] = "organization/tenant-permissions/" + stack.platform
	}
	encoded, err := json.Marshal(settings) // which is YAML as well
	if err != nil {
		return err
	}
	text := "config: " + string(encoded) + "\n"
	for line := range strings.Lines(string(content)) {
		if strings.HasPrefix(line, "encryptionsalt:") {
			text += line
		}
	}
	return os.WriteFile(path, []byte(text), 0o600)
}

// each runs a command on all stacks, as many at once as there are jobs.
func (s *site) each(ctx context.Context, stacks []*stack, args ...string) (cost, error) {
	var total cost
	logins, err := s.logins()
	if err != nil {
		return total, err
	}
	start := time.Now()
	costs, errs := make([]cost, len(stacks)), make([]error, len(stacks))
	slots := make(chan struct{}, s.jobs)
	var group sync.WaitGroup
	for i, stack := range stacks {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			costs[i], errs[i] = s.pulumi(ctx, append([]string{args[0], "--stack", stack.name}, args[1:]...)...)
		})
	}
	group.Wait()
	total.Seconds = time.Since(start).Seconds()
	for _, c := range costs {
		total.CPU += c.CPU
		total.Peak = max(total.Peak, c.Peak)
	}
	after, err := s.logins()
	total.Logins = after - logins
	return total, errors.Join(append(errs, err)...)
}

func (s *site) up(ctx context.Context, stacks ...*stack) (cost, error) {
	return s.each(ctx, stacks, "up", "--yes", "--skip-preview", "--suppress-outputs", "--parallel", strconv.Itoa(s.parallel))
}

// preview fails unless it finds nothing to do.
func (s *site) preview(ctx context.Context, stacks []*stack, flags ...string) (cost, error) {
	return s.each(ctx, stacks, append([]string{"preview", "--expect-no-changes", "--parallel", strconv.Itoa(s.parallel)}, flags...)...)
}

func (s *site) destroy(ctx context.Context, stacks ...*stack) (cost, error) {
	return s.each(ctx, stacks, "destroy", "--yes", "--skip-preview", "--parallel", strconv.Itoa(s.parallel))
}

// then adds the cost of what was done after something else.
func (c cost) then(next cost) cost {
	return cost{c.Seconds + next.Seconds, c.CPU + next.CPU, max(c.Peak, next.Peak), c.Logins + next.Logins}
}

// pulumi runs the CLI.
func (s *site) pulumi(ctx context.Context, args ...string) (cost, error) {
	args = append(args, "--cwd", s.project, "--non-interactive", "--color", "never")
	cmd := exec.CommandContext(ctx, s.Pulumi(), append(args, s.flags...)...)
	cmd.Env = s.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return cost{}, err
	}
	peak := watchMemory(cmd.Process.Pid)
	err := cmd.Wait()
	c := cost{Seconds: time.Since(start).Seconds(), Peak: peak()}
	c.CPU = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	if err != nil {
		err = fmt.Errorf("pulumi %s: %w\n%s", strings.Join(args, " "), err, out.Bytes())
	}
	return c, err
}

// stateBytes is the size of the stacks' states.
func (s *site) stateBytes(stacks []*stack) (total int64, err error) {
	for _, stack := range stacks {
		// .json, or .json.gz and .json.zst if it is compressed; beside it are .bak and .attrs.
		files, err := filepath.Glob(filepath.Join(s.backend, ".pulumi/stacks/tenant-permissions", stack.name+".json*"))
		if err != nil {
			return 0, err
		}
		for _, file := range files {
			if strings.HasSuffix(file, ".bak") || strings.HasSuffix(file, ".attrs") {
				continue
			}
			info, err := os.Stat(file)
			if err != nil {
				return 0, err
			}
			total += info.Size()
		}
	}
	return total, nil
}

// version is the server's.
func (s *site) version(ctx context.Context) (version string, err error) {
	err = s.connected(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT split_part(current_setting('server_version'), ' ', 1)").Scan(&version)
	})
	return version, err
}

// logins counts the server's logins so far.
func (s *site) logins() (int, error) {
	content, err := os.ReadFile(s.server.LogFile())
	return countLogins(content), err
}

// countLogins counts what log_connections writes when a login has succeeded.
func countLogins(log []byte) int {
	return bytes.Count(log, []byte("LOG:  connection authorized: "))
}

// samplePeriod is how often memory is looked at.
const samplePeriod = 100 * time.Millisecond

// watchMemory looks at the process and its descendants until it is asked for the largest sum of
// their resident sizes, in bytes.
func watchMemory(pid int) (peak func() int64) {
	return watch(samplePeriod, func() int64 { return residentBytes("/proc", pid) })
}

// watch reads a figure once in each period until it is asked for the largest.
func watch(period time.Duration, read func() int64) (peak func() int64) {
	stop, largest := make(chan struct{}), make(chan int64)
	go func() {
		var most int64
		ticker := time.NewTicker(period)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				most = max(most, read())
			case <-stop:
				largest <- most
				return
			}
		}
	}()
	return func() int64 {
		close(stop)
		return <-largest
	}
}

// residentBytes is the resident size of a process and its descendants now; 0 where there is no
// Linux /proc.
func residentBytes(proc string, root int) int64 {
	files, err := filepath.Glob(filepath.Join(proc, "[0-9]*", "stat"))
	if err != nil {
		return 0
	}
	children, pages := map[int][]int{}, map[int]int64{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state ppid … rss: the name may contain any character.
		end := bytes.LastIndexByte(content, ')')
		fields := strings.Fields(string(content[end+1:]))
		pid, pidErr := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if end < 0 || len(fields) < 22 || pidErr != nil {
			continue
		}
		parent, parentErr := strconv.Atoi(fields[1])
		rss, rssErr := strconv.ParseInt(fields[21], 10, 64)
		if parentErr == nil && rssErr == nil {
			children[parent], pages[pid] = append(children[parent], pid), rss
		}
	}
	var total int64
	for todo := []int{root}; len(todo) > 0; todo = todo[1:] {
		total += pages[todo[0]]
		todo = append(todo, children[todo[0]]...)
	}
	return total * int64(os.Getpagesize())
}
