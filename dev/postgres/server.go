// Package postgres finds, installs and runs PostgreSQL servers on this machine.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tenant-permissions/dev/install"
)

// readyTimeout is how long a server may take to accept connections, or to end them.
const readyTimeout = 2 * time.Minute

// Options says which server to start. The zero value is a new server of any supported
// version, which Stop removes.
type Options struct {
	// Dir keeps the server's data, log, port and superuser password from one start to the next.
	// Empty means a temporary folder, which Stop removes.
	Dir string
	// BinDir is the folder of initdb, pg_ctl and postgres. Empty means to find it, or to install
	// PostgreSQL.
	BinDir string
	// Version is the major version, "14" to "18". Empty means that of the data in Dir, or any.
	Version string
	// Template is a server of the same version that has a Dir and does not run. A new server begins as a
	// copy of it, with its password, which takes a tenth of the time of initdb. It may be nil.
	Template *Server
	// Settings of the server, for instance log_statement. They have no effect on a server that
	// runs already.
	Settings map[string]string
	// Progress gets a line about whatever takes long or is unusual. It may be nil.
	Progress io.Writer
}

// Server is a PostgreSQL server on this machine's loopback address. Every login needs a password
// (SCRAM-SHA-256), the superuser's too. Its data does not survive a crash of the machine.
type Server struct {
	Host string
	Port int
	// User is the superuser's name.
	User, Password string
	// Fresh is true if Start made the server's data rather than finding it.
	Fresh bool

	dir string
	// temporary is the folder that Stop removes, if any.
	temporary string
}

// Start starts a server, or returns the one that runs from the same Dir. The server outlives
// this process; as root it runs as the user postgres or, without one, nobody. If that user cannot
// enter Dir, a folder below /var/tmp takes its place.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	who, err := serverAccount()
	if err != nil {
		return nil, err
	}
	s := &Server{Host: "127.0.0.1", User: "postgres"}
	dir := o.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "tenant-permissions-"); err != nil {
			return nil, err
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			return nil, err
		}
		s.temporary = dir
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if s.dir, err = reachable(ctx, dir, who, o.Progress); err != nil {
		return nil, err
	}
	if err := s.start(ctx, o, who); err != nil {
		if s.temporary != "" {
			err = errors.Join(err, Remove(s.temporary))
		}
		return nil, fmt.Errorf("PostgreSQL in %s: %w", s.dir, err)
	}
	return s, nil
}

// Remove stops the server whose Dir this is, if it runs, and deletes everything it has.
func Remove(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for _, dir := range []string{dir, substitute(dir)} {
		if err := stop(dir); err != nil {
			return err
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// Stop ends the server and with it all connections. A server that does not run is no error.
func (s *Server) Stop() error {
	if s.temporary != "" {
		return Remove(s.temporary)
	}
	return stop(s.dir)
}

// DSN is a connection string for a login of this server.
func (s *Server) DSN(user, password, database string) string {
	return dsn(s.Host, s.Port, user, password, database)
}

func dsn(host string, port int, user, password, database string) string {
	address := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(user, password),
		Host:     net.JoinHostPort(host, strconv.Itoa(port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return address.String()
}

// LogFile is the path of the server's log.
func (s *Server) LogFile() string { return filepath.Join(s.dir, "log") }

// CreateDatabase makes a database if it is not there.
func (s *Server) CreateDatabase(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, s.DSN(s.User, s.Password, "postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var found bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&found); err != nil || found {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	return err
}

func (s *Server) file(name string) string { return filepath.Join(s.dir, name) }

// start starts the server unless it runs.
func (s *Server) start(ctx context.Context, o Options, who account) error {
	// Only the owner of this lock may change the data. The server inherits the lock and keeps it as
	// long as any of its processes lives.
	held, err := s.lockUnlessRunning(ctx)
	if held == nil || err != nil {
		return err
	}
	defer held.Close()
	// A crash does not remove this file. PostgreSQL would take any process with that id for a server.
	if err := os.Remove(s.file(pidFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	version := o.Version
	if content, err := os.ReadFile(s.file("data/PG_VERSION")); err == nil {
		version = strings.TrimSpace(string(content))
		if o.Version != "" && o.Version != version {
			return fmt.Errorf("its data is of PostgreSQL %s, not %s", version, o.Version)
		}
	}
	binDir := o.BinDir
	if binDir == "" {
		binDir, err = findPostgres(ctx, version, who, o.Progress)
	} else {
		err = checkBinDir(ctx, binDir, version, who)
	}
	if err != nil {
		return err
	}
	if err := s.makeData(ctx, o, binDir, who); err != nil {
		return fmt.Errorf("making its data: %w", err)
	}
	if err := s.loadPassword(); err != nil {
		return err
	}
	for {
		if s.Port, err = s.choosePort(); err != nil {
			return err
		}
		err := s.launch(ctx, binDir, o.Settings, held, who)
		// Between choosing the port and using it, another process may have taken it.
		if err == nil || isFree(s.Port) {
			return err
		}
	}
}

// lockUnlessRunning returns the lock, or nil if the server runs. It waits for another process that
// starts or stops the server.
func (s *Server) lockUnlessRunning(ctx context.Context) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		held, err := tryLock(s.file("lock"))
		if held != nil || err != nil {
			return held, err
		}
		if s.loadPassword() == nil && s.loadPort() == nil && s.ping(ctx) == nil {
			return nil, nil
		}
		if err := pause(ctx); err != nil {
			return nil, fmt.Errorf("waiting for another process to start or stop it: %w", err)
		}
	}
}

func (s *Server) loadPassword() error {
	content, err := os.ReadFile(s.file("password"))
	s.Password = string(content)
	return err
}

func (s *Server) loadPort() error {
	content, err := os.ReadFile(s.file("port"))
	if err != nil {
		return err
	}
	s.Port, err = strconv.Atoi(string(content))
	return err
}

// choosePort returns the port of the last start if it is free, else any free one, and remembers it.
func (s *Server) choosePort() (int, error) {
	if s.loadPort() == nil && isFree(s.Port) {
		return s.Port, nil
	}
	port, err := freePort(s.Host)
	if err != nil {
		return 0, err
	}
	return port, os.WriteFile(s.file("port"), []byte(strconv.Itoa(port)), 0o600)
}

func isFree(port int) bool {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	return err == nil && listener.Close() == nil
}

// launch starts the server's process and waits until it accepts connections.
func (s *Server) launch(ctx context.Context, binDir string, settings map[string]string, held *os.File, who account) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	log, err := os.OpenFile(s.LogFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	all := map[string]string{
		"listen_addresses":        s.Host,
		"port":                    strconv.Itoa(s.Port),
		"unix_socket_directories": "",
		"fsync":                   "off",
		"synchronous_commit":      "off",
		"full_page_writes":        "off",
	}
	maps.Copy(all, settings)
	var options []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		options = append(options, "-c "+shellQuote(name+"="+all[name])) // pg_ctl gives them to a shell
	}
	cmd := pgCtl(ctx, who, s.dir, binDir, "start", "-o", strings.Join(options, " "))
	// The server inherits the log, as its output, and the lock.
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, []*os.File{held}
	cmd.SysProcAttr.Setsid = true // so that Ctrl-C in this terminal does not reach it
	// pg_ctl stops the server that it starts when it is interrupted itself.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("waiting for it to accept connections: %w", ctx.Err())
		}
		content, readErr := os.ReadFile(s.LogFile())
		return errors.Join(fmt.Errorf("it did not start: %w\n%s", err, install.LastLines(content)), readErr)
	}
	return s.ping(ctx)
}

// pgCtl is a pg_ctl command on the data in the server's folder, which waits for its end.
func pgCtl(ctx context.Context, who account, dir, binDir, verb string, args ...string) *exec.Cmd {
	args = append([]string{verb, "-D", filepath.Join(dir, "data"), "-s", "-w", "-t", strconv.Itoa(int(readyTimeout.Seconds()))}, args...)
	return commandAs(ctx, who, dir, filepath.Join(binDir, "pg_ctl"), args...)
}

// shellQuote is the text as one word of a shell command.
func shellQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// ping logs in. The password is this server's alone, so no other can be taken for it.
func (s *Server) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.DSN(s.User, s.Password, "postgres"))
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// stop ends the server that runs from the folder, if any, and waits until it is gone.
func stop(dir string) error {
	if !isDir(dir) {
		return nil
	}
	who, err := serverAccount()
	if err != nil {
		return err
	}
	var failed error
	for deadline := time.Now().Add(readyTimeout); time.Now().Before(deadline); time.Sleep(pollInterval) {
		held, err := tryLock(filepath.Join(dir, "lock"))
		if err != nil {
			return err
		}
		if held != nil {
			return held.Close()
		}
		// As long as the lock is taken, the id in this file is that of a server's living process. The
		// file is missing while another process prepares the start.
		if _, err := os.Stat(filepath.Join(dir, pidFile)); err != nil {
			continue
		}
		binDir, err := startedFrom(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it starts for the first time
		}
		if err != nil {
			return err
		}
		failed = install.Run(pgCtl(context.Background(), who, dir, binDir, "stop", "-m", "fast"))
	}
	return errors.Join(fmt.Errorf("PostgreSQL in %s did not stop within %s", dir, readyTimeout), failed)
}

// pidFile is where a server that runs keeps its process id, below its folder.
const pidFile = "data/postmaster.pid"

// startedFrom is the folder of the programs that the server in the folder was last started with.
func startedFrom(dir string) (string, error) {
	content, err := os.ReadFile(filepath.Join(dir, "data/postmaster.opts"))
	if err != nil {
		return "", err
	}
	program, _, ok := strings.Cut(string(content), ` "`) // its arguments are quoted
	if !ok {
		return "", fmt.Errorf("%s/data/postmaster.opts has no arguments: %q", dir, content)
	}
	return filepath.Dir(program), nil
}
