package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// databases is what tenants with databases of their own cost, beside tenants in schemas of one database.
type databases struct {
	Date        string      `json:"date"`
	Environment environment `json:"environment"`
	// Busy is true if other work ran on the machine at the same time.
	Busy bool `json:"busy,omitempty"`
	// Stacks are stacks without checks of what they make, each on a server of its own.
	Stacks []*isolated `json:"stacks"`
	// Server is what PostgreSQL itself needs for many databases.
	Server *manyDatabases `json:"server"`
}

// isolated is one stack whose tenants are all isolated in the same way.
type isolated struct {
	Isolation string `json:"isolation"` // as in the config: schema or database
	Tenants   int    `json:"tenants"`
	// Seconds by step, and Logins of the first up and of the step that adds a tenant.
	Seconds map[string][]float64 `json:"seconds"`
	Logins  map[string]int       `json:"logins"`
	// PeakSessions is the largest number of the server's client connections seen in the first up.
	PeakSessions int `json:"peakSessions"`
	// StateBytes is the size of the state after the first up.
	StateBytes int64 `json:"stateBytes"`
	// DatabaseBytes is the size on disk of one tenant's database without tables, 0 without such.
	DatabaseBytes int64 `json:"databaseBytes"`
}

// manyDatabases is what plain SQL and a server take for empty databases made from template0.
type manyDatabases struct {
	Databases int `json:"databases"`
	// CreateSeconds is for all of them, one after the other.
	CreateSeconds float64 `json:"createSeconds"`
	// Bytes is their size on disk.
	Bytes int64 `json:"bytes"`
	// Medians of the seconds of a connection with one query: to a database when there are no others, to
	// some of many for the first time, and to the same ones again.
	ConnectBefore float64 `json:"connectBefore"`
	ConnectFirst  float64 `json:"connectFirst"`
	ConnectAgain  float64 `json:"connectAgain"`
}

// samples is how many connections are measured.
const samples = 20

// sessionPeriod is how often sessions are counted.
const sessionPeriod = 100 * time.Millisecond

// measureDatabases measures both isolations with every number of tenants, then many databases. The
// results take the place of those of before.
func (t *tools) measureDatabases(ctx context.Context, env environment, o Options, results *results) error {
	d := &databases{Date: time.Now().UTC().Format(time.DateOnly), Environment: env, Busy: o.Busy}
	for _, n := range o.Tenants {
		for _, isolation := range []string{"schema", "database"} {
			m := &isolated{Isolation: isolation, Tenants: n, Seconds: map[string][]float64{}, Logins: map[string]int{}}
			for range o.Repetitions {
				if err := t.measureIsolation(ctx, m); err != nil {
					return fmt.Errorf("%d tenants, isolation %s: %w", n, isolation, err)
				}
			}
			fmt.Fprintf(t.progress, "%d tenants, isolation %s: %v, logins %v\n", n, isolation, m.Seconds, m.Logins)
			d.Stacks = append(d.Stacks, m)
		}
	}
	var err error
	if d.Server, err = t.measureMany(ctx, o.Databases); err != nil {
		return fmt.Errorf("%d databases: %w", o.Databases, err)
	}
	results.Databases = d
	return nil
}

// measureIsolation measures one stack on a server of its own, which is then gone with all databases.
func (t *tools) measureIsolation(ctx context.Context, m *isolated) (err error) {
	s, err := t.newSite(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.server.Stop()) }()
	tenants := &stack{name: "isolated-" + m.Isolation, isolation: m.Isolation, tenants: map[string]int{}}
	for i := range m.Tenants {
		tenants.tenants[tenantKey(i)] = 1
	}
	if err := s.create(ctx, []*stack{tenants}); err != nil {
		return err
	}
	measured := newMeasurement(layout{Kind: oneStack}, m.Tenants)
	most, err := s.watchSessions(ctx)
	if err != nil {
		return err
	}
	err = s.steps(measured, step{stepUp, func() (cost, error) { return s.up(ctx, tenants) }})
	peak, watchErr := most()
	m.PeakSessions = max(m.PeakSessions, peak)
	if err := errors.Join(err, watchErr); err != nil {
		return err
	}
	if m.StateBytes, err = s.stateBytes([]*stack{tenants}); err != nil {
		return err
	}
	if err := s.connected(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT coalesce(max(pg_database_size(datname)), 0) FROM pg_database WHERE starts_with(datname, 'tenant_')").Scan(&m.DatabaseBytes)
	}); err != nil {
		return err
	}
	if err := s.steps(measured,
		step{stepPreview, func() (cost, error) { return s.preview(ctx, []*stack{tenants}) }},
		step{stepAdd, func() (cost, error) {
			tenants.tenants["added"] = 1
			return s.changed(ctx, tenants)
		}},
	); err != nil {
		return err
	}
	for step, seconds := range measured.Seconds {
		m.Seconds[step] = append(m.Seconds[step], seconds...)
		m.Logins[step] = measured.Logins[step]
	}
	return nil
}

// watchSessions counts client connections other than its own, now and then every sessionPeriod, until
// most is called, which returns the largest number.
func (s *site) watchSessions(ctx context.Context) (most func() (int, error), err error) {
	conn, err := pgx.Connect(ctx, s.server.DSN(s.server.User, s.server.Password, s.database))
	if err != nil {
		return nil, err
	}
	peak := 0
	count := func() error {
		var now int
		err := conn.QueryRow(ctx, "SELECT count(*) - 1 FROM pg_stat_activity WHERE backend_type = 'client backend'").Scan(&now)
		peak = max(peak, now)
		return err
	}
	stop, result := make(chan struct{}), make(chan error)
	go func() {
		ticker := time.NewTicker(sessionPeriod)
		defer ticker.Stop()
		err := count()
		for {
			select {
			case <-ticker.C:
				err = errors.Join(err, count())
			case <-stop:
				result <- errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
				return
			}
		}
	}()
	return func() (int, error) {
		close(stop)
		err := <-result
		return peak, err
	}, nil
}

// measureMany makes n databases in plain SQL and connects to some of them.
func (t *tools) measureMany(ctx context.Context, n int) (m *manyDatabases, err error) {
	s, err := t.newSite(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.server.Stop()) }()
	m = &manyDatabases{Databases: n}
	if m.ConnectBefore, err = s.connectTimes(ctx, slices.Repeat([]string{s.database}, samples)); err != nil {
		return nil, err
	}
	var some []string
	if err := s.connected(ctx, func(conn *pgx.Conn) error {
		start := time.Now()
		for i := range n {
			name := fmt.Sprintf("many_%05d", i)
			if _, err := conn.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE template0"); err != nil {
				return err
			}
			if i%max(1, n/samples) == 0 {
				some = append(some, name)
			}
		}
		m.CreateSeconds = time.Since(start).Seconds()
		return conn.QueryRow(ctx, "SELECT sum(pg_database_size(datname))::bigint FROM pg_database WHERE starts_with(datname, 'many_')").Scan(&m.Bytes)
	}); err != nil {
		return nil, err
	}
	fmt.Fprintf(t.progress, "%d databases: %.1f s, %d bytes\n", n, m.CreateSeconds, m.Bytes)
	if m.ConnectFirst, err = s.connectTimes(ctx, some); err != nil {
		return nil, err
	}
	m.ConnectAgain, err = s.connectTimes(ctx, some)
	return m, err
}

// connectTimes is the median of the seconds that a connection with one query takes.
func (s *site) connectTimes(ctx context.Context, names []string) (float64, error) {
	var seconds []float64
	for _, name := range names {
		start := time.Now()
		conn, err := pgx.Connect(ctx, s.server.DSN(s.server.User, s.server.Password, name))
		if err != nil {
			return 0, err
		}
		_, err = conn.Exec(ctx, "SELECT 1")
		if err := errors.Join(err, conn.Close(context.WithoutCancel(ctx))); err != nil {
			return 0, err
		}
		seconds = append(seconds, time.Since(start).Seconds())
	}
	return median(seconds), nil
}

// write writes the section of the page.
func (d *databases) write(w io.Writer) {
	busy := ""
	if d.Busy {
		busy = " Other work ran on the machine at the same time, so compare the columns of this table with each other, and not with the table above."
	}
	fmt.Fprintf(w, "\n## Databases of tenants\n\nOne stack whose tenants all have a database of their own (`isolation: database`), beside one whose tenants share a database. "+
		"%s%s `make bench-databases` measures it.\n\n| ", d.Environment.measured("", d.Date), busy)
	rule := "\n|---"
	for _, m := range d.Stacks {
		fmt.Fprintf(w, "| %d, %s ", m.Tenants, m.Isolation)
		rule += "|--:"
	}
	fmt.Fprint(w, "|"+rule+"|\n")
	row := func(title string, value func(*isolated) float64) {
		fmt.Fprintf(w, "| %s |", title)
		for _, m := range d.Stacks {
			fmt.Fprintf(w, " %s |", number(value(m)))
		}
		fmt.Fprintln(w)
	}
	for _, column := range columns {
		row(column.title+", seconds", func(m *isolated) float64 { return median(m.Seconds[column.step]) })
	}
	row("logins in the first `up` per tenant", func(m *isolated) float64 { return float64(m.Logins[stepUp]) / float64(m.Tenants) })
	row("most connections at once", func(m *isolated) float64 { return float64(m.PeakSessions) })
	row("state per tenant, KB", func(m *isolated) float64 { return float64(m.StateBytes) / float64(m.Tenants) / 1000 })
	row("disk of an empty database, MB", func(m *isolated) float64 { return float64(m.DatabaseBytes) / 1e6 })
	if s := d.Server; s != nil {
		fmt.Fprintf(w, "\nPostgreSQL itself makes %s empty databases in %s, one after the other, and they take %s GB. "+
			"A connection with one query takes %s if there are no other databases. With all of them it takes %s the first time, and %s after that.\n",
			number(float64(s.Databases)), duration(s.CreateSeconds), number(float64(s.Bytes)/1e9),
			duration(s.ConnectBefore), duration(s.ConnectFirst), duration(s.ConnectAgain))
	}
}
