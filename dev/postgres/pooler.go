package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"tenant-permissions/dev/install"
)

// Pooler is a PgBouncer on this machine's loopback address. It ends with Stop.
type Pooler struct {
	Host string
	Port int

	dir  string
	who  account
	cmd  *exec.Cmd
	done chan error
}

// StartPooler starts the program, a PgBouncer, as the user that the server runs as. configure returns
// its pgbouncer.ini for a folder, where the pooler has the userlist as userlist.txt, and for a free port.
func (s *Server) StartPooler(ctx context.Context, program string, userlist []byte, configure func(dir string, port int) string) (*Pooler, error) {
	who, err := serverAccount()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(s.dir, "pooler-")
	if err != nil {
		return nil, err
	}
	p := &Pooler{Host: s.Host, dir: dir, who: who}
	if err := errors.Join(give(dir, who), p.write("userlist.txt", userlist)); err != nil {
		return nil, err
	}
	for {
		if p.Port, err = freePort(p.Host); err != nil {
			return nil, err
		}
		if err := p.write("pgbouncer.ini", []byte(configure(dir, p.Port))); err != nil {
			return nil, err
		}
		err := p.launch(ctx, program)
		if err == nil {
			return p, nil
		}
		// Between choosing the port and using it, another process may have taken it.
		if ctx.Err() != nil || isFree(p.Port) {
			return nil, err
		}
	}
}

// freePort is a port of the host that nothing listens on.
func freePort(host string) (int, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return 0, err
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}

// write makes a file that only the pooler can read, at once.
func (p *Pooler) write(name string, text []byte) error {
	unfinished := filepath.Join(p.dir, name+".unfinished")
	if err := os.WriteFile(unfinished, text, 0o600); err != nil {
		return err
	}
	return errors.Join(give(unfinished, p.who), os.Rename(unfinished, filepath.Join(p.dir, name)))
}

func (p *Pooler) launch(ctx context.Context, program string) error {
	log, err := os.OpenFile(p.LogFile(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	// Stop ends it, and not the context of the start.
	p.cmd = commandAs(context.WithoutCancel(ctx), p.who, p.dir, program, filepath.Join(p.dir, "pgbouncer.ini"))
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.done = make(chan error, 1)
	go func() { p.done <- p.cmd.Wait() }()
	if err := p.waitFor(ctx, "process up", 1); err != nil {
		return errors.Join(fmt.Errorf("PgBouncer did not start: %w", err), p.kill())
	}
	return nil
}

// waitFor waits until the log has a text so many times.
func (p *Pooler) waitFor(ctx context.Context, text string, times int) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		log, err := os.ReadFile(p.LogFile())
		if err != nil || bytes.Count(log, []byte(text)) >= times {
			return err
		}
		select {
		case err := <-p.done:
			p.done <- err
			return fmt.Errorf("it ended: %w\n%s", err, install.LastLines(log))
		default:
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("waiting for %q in its log: %w\n%s", text, err, install.LastLines(log))
		}
	}
}

// LogFile is the path of the pooler's log.
func (p *Pooler) LogFile() string { return filepath.Join(p.dir, "log") }

// DSN is a connection string for a login and an entry of the section [databases].
func (p *Pooler) DSN(user, password, database string) string {
	return dsn(p.Host, p.Port, user, password, database)
}

// Userlist is the path of the userlist, which Reload loads.
func (p *Pooler) Userlist() string { return filepath.Join(p.dir, "userlist.txt") }

// Reload loads the config and the userlist, and returns when they are in effect.
func (p *Pooler) Reload(ctx context.Context) error {
	const line = "re-reading config"
	log, err := os.ReadFile(p.LogFile())
	if err != nil {
		return err
	}
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	// The process does nothing else between this line and the end of loading.
	return p.waitFor(ctx, line, bytes.Count(log, []byte(line))+1)
}

// Stop ends the pooler and with it all connections through it.
func (p *Pooler) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stopping PgBouncer: %w", err)
	}
	select {
	case <-p.done: //nolint:errcheck // its exit code after the signal means nothing
		return nil
	case <-time.After(readyTimeout):
		return errors.Join(errors.New("PgBouncer did not stop"), p.kill())
	}
}

// kill ends the process if it is still there.
func (p *Pooler) kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}
