package standin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"tenant-permissions/dev/postgres"
)

// theServer is the one server of all tests; TestMain starts it.
var theServer *postgres.Server

func TestMain(m *testing.M) { os.Exit(withServer(m.Run)) }

func withServer(tests func() int) int {
	var err error
	theServer, err = postgres.Start(context.Background(), postgres.Options{
		Settings: map[string]string{"log_statement": "ddl"},
		Progress: os.Stderr,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "starting PostgreSQL for the tests:", err)
		return 1
	}
	code := tests()
	if err := theServer.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping PostgreSQL:", err)
		return 1
	}
	return code
}

const (
	roleType              = "postgresql:index/role:Role"
	membershipType        = "postgresql:index/grantRole:GrantRole"
	grantType             = "postgresql:index/grant:Grant"
	defaultPrivilegesType = "postgresql:index/defaultPrivileges:DefaultPrivileges"
	schemaType            = "postgresql:index/schema:Schema"
	passwordType          = "random:index/randomPassword:RandomPassword"
)

type values = map[string]any

// plugged is a stand-in behind gRPC, as the engine meets it.
type plugged struct {
	t      *testing.T
	client pulumirpc.ResourceProviderClient
}

func plug(t *testing.T, p *provider) plugged {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	server := grpc.NewServer()
	pulumirpc.RegisterResourceProviderServer(server, p)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		check(t, <-served)
	})
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(t, err)
	t.Cleanup(func() { check(t, conn.Close()) })
	return plugged{t, pulumirpc.NewResourceProviderClient(conn)}
}

func unlogged(context.Context, string) error { return nil }

// world is a database of its own with the stand-in connected to it.
type world struct {
	plugged
	name  string // of the database, and the beginning of the names of the test's roles
	admin *pgx.Conn
}

// newWorld connects as the superuser.
func newWorld(t *testing.T) *world {
	t.Helper()
	name := strings.ToLower(t.Name()[len("Test"):])
	name = strings.NewReplacer("/", "_", " ", "_").Replace(name)
	if len(name) > 40 {
		name = name[:40]
	}
	server := connectTo(t, "postgres", theServer.User, theServer.Password)
	run(t, server, `CREATE DATABASE "`+name+`"`)
	w := &world{plug(t, newPostgreSQL(unlogged)), name, connectTo(t, name, theServer.User, theServer.Password)}
	t.Cleanup(func() {
		run(t, server, `DROP DATABASE "`+name+`" WITH (FORCE)`)
		rows, err := server.Query(context.Background(), "SELECT rolname FROM pg_roles WHERE rolname !~ '^(pg_|postgres)'")
		check(t, err)
		roles, err := pgx.CollectRows(rows, pgx.RowTo[string])
		check(t, err)
		for _, role := range roles {
			run(t, server, `DROP OWNED BY "`+role+`" CASCADE`)
		}
		for _, role := range roles {
			run(t, server, `DROP ROLE "`+role+`"`)
		}
	})
	w.connect(nil)
	return w
}

// connect configures the stand-in.
func (w *world) connect(settings values) {
	w.t.Helper()
	all := values{
		"host": theServer.Host, "port": theServer.Port, "username": theServer.User, "password": theServer.Password,
		"database": w.name, "sslmode": "disable",
	}
	maps.Copy(all, settings)
	_, err := w.client.Configure(w.t.Context(), &pulumirpc.ConfigureRequest{Args: encode(w.t, all), AcceptSecrets: true})
	check(w.t, err)
}

// asProvisioner makes a login that may create roles and owns the database, but is no superuser, and
// connects the stand-in as it.
func (w *world) asProvisioner(settings values) {
	w.t.Helper()
	w.sql(`CREATE ROLE prov LOGIN CREATEROLE CREATEDB PASSWORD 'prov'`)
	w.sql(`ALTER DATABASE "` + w.name + `" OWNER TO prov`)
	all := values{"username": "prov", "password": "prov", "superuser": "false"}
	maps.Copy(all, settings)
	w.connect(all)
}

func connectTo(t *testing.T, database, user, password string) *pgx.Conn {
	t.Helper()
	conn, err := dial(t, database, user, password)
	check(t, err)
	return conn
}

func dial(t *testing.T, database, user, password string) (*pgx.Conn, error) {
	t.Helper()
	config, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=%d sslmode=disable", theServer.Host, theServer.Port))
	check(t, err)
	config.Database, config.User, config.Password = database, user, password
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err == nil {
		t.Cleanup(func() { check(t, conn.Close(context.Background())) })
	}
	return conn, err
}

// sql runs statements as superuser.
func (w *world) sql(sql string) {
	w.t.Helper()
	run(w.t, w.admin, sql)
}

func run(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(context.Background(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// ask runs a query of one text as superuser and wants that answer.
func (w *world) ask(sql, want string) {
	w.t.Helper()
	var got string
	if err := w.admin.QueryRow(w.t.Context(), "SELECT coalesce(("+sql+")::text, 'nothing')").Scan(&got); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
	if got != want {
		w.t.Errorf("%s\n got %s\nwant %s", sql, got, want)
	}
}

func (w *world) member(member, role, want string) {
	w.t.Helper()
	w.ask(fmt.Sprintf(`SELECT CASE WHEN bool_or(admin_option) THEN 'admin' ELSE 'plain' END FROM pg_auth_members
		WHERE member::regrole::text = '%s' AND roleid::regrole::text = '%s' GROUP BY ()
		HAVING count(*) > 0`, member, role), want)
}

// thing is a resource as the engine keeps it.
type thing struct {
	plugged
	urn, id        string
	inputs, output *structpb.Struct
}

func urnOf(typ string) string { return "urn:pulumi:test::test::" + typ + "::it" }

// try checks and creates a resource.
func (p plugged) try(typ string, inputs values) (*thing, error) {
	p.t.Helper()
	r := &thing{plugged: p, urn: urnOf(typ)}
	checked, err := p.client.Check(p.t.Context(), &pulumirpc.CheckRequest{Urn: r.urn, News: encode(p.t, inputs)})
	if err != nil {
		return nil, err
	}
	if len(checked.GetFailures()) > 0 {
		return nil, errors.New(checked.GetFailures()[0].GetReason())
	}
	r.inputs = checked.GetInputs()
	created, err := p.client.Create(p.t.Context(), &pulumirpc.CreateRequest{Urn: r.urn, Properties: r.inputs})
	r.id, r.output = created.GetId(), created.GetProperties()
	return r, err
}

func (p plugged) create(typ string, inputs values) *thing {
	p.t.Helper()
	r, err := p.try(typ, inputs)
	check(p.t, err)
	return r
}

// diff compares the resource with inputs.
func (r *thing) diff(inputs values, ignored ...string) *pulumirpc.DiffResponse {
	r.t.Helper()
	diff, err := r.client.Diff(r.t.Context(), &pulumirpc.DiffRequest{
		Urn: r.urn, Id: r.id, Olds: r.output, OldInputs: r.inputs, News: encode(r.t, inputs), IgnoreChanges: ignored,
	})
	check(r.t, err)
	return diff
}

// wantDiff wants exactly these properties to differ.
func (r *thing) wantDiff(inputs values, ignored []string, want ...string) {
	r.t.Helper()
	if diff := r.diff(inputs, ignored...); !slices.Equal(diff.GetDiffs(), want) || (len(want) > 0) != (diff.GetChanges() == pulumirpc.DiffResponse_DIFF_SOME) {
		r.t.Errorf("got a diff of %v (%v), want %v", diff.GetDiffs(), diff.GetChanges(), want)
	}
}

func (r *thing) tryUpdate(inputs values, ignored ...string) error {
	r.t.Helper()
	news := encode(r.t, inputs)
	updated, err := r.client.Update(r.t.Context(), &pulumirpc.UpdateRequest{
		Urn: r.urn, Id: r.id, Olds: r.output, OldInputs: r.inputs, News: news, IgnoreChanges: ignored,
	})
	if err == nil {
		r.inputs, r.output = news, updated.GetProperties()
	}
	return err
}

func (r *thing) update(inputs values, ignored ...string) {
	r.t.Helper()
	check(r.t, r.tryUpdate(inputs, ignored...))
}

// refresh reads the resource; it tells whether the resource is still there.
func (r *thing) refresh() bool {
	r.t.Helper()
	there, err := r.tryRefresh()
	check(r.t, err)
	return there
}

func (r *thing) tryRefresh() (there bool, err error) {
	r.t.Helper()
	read, err := r.client.Read(r.t.Context(), &pulumirpc.ReadRequest{Urn: r.urn, Id: r.id, Properties: r.output, Inputs: r.inputs})
	if err != nil || read.GetId() == "" {
		return false, err
	}
	r.id, r.output, r.inputs = read.GetId(), read.GetProperties(), read.GetInputs()
	return true, nil
}

func (r *thing) tryDelete() error {
	_, err := r.client.Delete(r.t.Context(), &pulumirpc.DeleteRequest{Urn: r.urn, Id: r.id, Properties: r.output})
	return err
}

func (r *thing) delete() {
	r.t.Helper()
	check(r.t, r.tryDelete())
}

// get is an output, with its secret mark if it has one.
func (r *thing) get(name string) resource.PropertyValue {
	r.t.Helper()
	return decode(r.t, r.output)[resource.PropertyKey(name)]
}

func encode(t *testing.T, v values) *structpb.Struct {
	t.Helper()
	s, err := plugin.MarshalProperties(resource.NewPropertyMapFromMap(v), plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true})
	check(t, err)
	return s
}

func decode(t *testing.T, s *structpb.Struct) resource.PropertyMap {
	t.Helper()
	m, err := plugin.UnmarshalProperties(s, plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true})
	check(t, err)
	return m
}

func unknown() resource.PropertyValue { return resource.MakeComputed(resource.NewProperty("")) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantError wants an error with all of these texts; a SQLSTATE is one.
func wantError(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", texts)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not hold %q", err, text)
		}
	}
}

// initFailure is what the engine gets to know of a resource that exists but is not right.
func initFailure(t *testing.T, err error) *pulumirpc.ErrorResourceInitFailed {
	t.Helper()
	for _, detail := range status.Convert(err).Details() {
		if failure, ok := detail.(*pulumirpc.ErrorResourceInitFailed); ok {
			return failure
		}
	}
	t.Fatalf("error %v does not say that the resource exists", err)
	return nil
}

func sqlState(err error) string {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pgErr.Code
	}
	return ""
}

// eventually waits for what another process does in its own time.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 seconds: %s", what)
		}
	}
}

func (p plugged) previewCreate(typ string, inputs values) resource.PropertyMap {
	p.t.Helper()
	created, err := p.client.Create(p.t.Context(), &pulumirpc.CreateRequest{Urn: urnOf(typ), Properties: encode(p.t, inputs), Preview: true})
	check(p.t, err)
	return decode(p.t, created.GetProperties())
}

func (r *thing) previewUpdate(inputs values) resource.PropertyMap {
	r.t.Helper()
	updated, err := r.client.Update(r.t.Context(), &pulumirpc.UpdateRequest{
		Urn: r.urn, Id: r.id, Olds: r.output, OldInputs: r.inputs, News: encode(r.t, inputs), Preview: true,
	})
	check(r.t, err)
	return decode(r.t, updated.GetProperties())
}
