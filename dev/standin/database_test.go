package standin

import "testing"

const databaseType = "postgresql:index/database:Database"

func TestDatabase(t *testing.T) {
	w := newWorld(t)
	name := w.name + "_own"
	inputs := values{"name": name, "encoding": "UTF8", "lcCollate": "C", "connectionLimit": 5}
	database := w.create(databaseType, inputs)
	if database.id != name || database.get("owner").StringValue() != "postgres" || database.get("template").StringValue() != "template0" {
		t.Errorf("got %s %v", database.id, database.output)
	}
	_, err := w.try(databaseType, inputs)
	wantError(t, err, "creating database "+name, "SQLSTATE 42P04")
	database.refresh()
	database.wantDiff(inputs, nil)
	for property, value := range map[string]any{"encoding": "LATIN1", "lcCollate": "POSIX", "template": "template1"} {
		changed := values{"name": name, "connectionLimit": 5, property: value}
		if diff := database.diff(changed); len(diff.GetReplaces()) != 1 {
			t.Errorf("%s: got %v, want a replacement", property, diff)
		}
		database.wantDiff(changed, []string{property})
	}
	changed := values{"name": name, "encoding": "UTF8", "lcCollate": "C", "connectionLimit": 7}
	database.wantDiff(changed, nil, "connectionLimit")
	database.update(changed)
	w.ask("SELECT datconnlimit FROM pg_database WHERE datname = '"+name+"'", "7")

	// It goes with all data and all sessions.
	session := connectTo(t, name, theServer.User, theServer.Password)
	run(t, session, "CREATE TABLE full_of_data AS SELECT 1")
	database.delete()
	w.ask("SELECT count(*) FROM pg_database WHERE datname = '"+name+"'", "0")
	if database.refresh() {
		t.Error("a dropped database is still there")
	}
}

// Who may not end a session cannot drop the database, which then lets nobody in.
func TestDatabaseInUse(t *testing.T) {
	w := newWorld(t)
	w.asProvisioner(nil)
	name := w.name + "_own"
	database := w.create(databaseType, values{"name": name})
	session := connectTo(t, name, theServer.User, theServer.Password)
	wantError(t, database.tryDelete(), "terminating the connections to database "+name, "SQLSTATE 42501")
	w.ask("SELECT datallowconn FROM pg_database WHERE datname = '"+name+"'", "false")
	database.refresh()
	database.wantDiff(values{"name": name}, nil, "allowConnections")
	database.update(values{"name": name})
	check(t, session.Close(t.Context()))
	eventually(t, "the session ends", func() bool { return database.tryDelete() == nil })
}
