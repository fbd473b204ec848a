package standin

import "testing"

const extensionType = "postgresql:index/extension:Extension"

func TestExtensionTakesOverWhatIsThere(t *testing.T) {
	w := newWorld(t)
	w.sql("CREATE SCHEMA ext; CREATE EXTENSION hstore SCHEMA public")
	inputs := values{"name": "hstore", "schema": "ext"}
	extension := w.create(extensionType, inputs)
	if extension.id != w.name+".hstore" || extension.get("schema").StringValue() != "public" {
		t.Errorf("got %s %v", extension.id, extension.output)
	}
	extension.wantDiff(inputs, nil, "schema")
	extension.wantDiff(inputs, []string{"schema"})
	extension.update(inputs)
	w.ask("SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'hstore'", "ext")

	w.sql("CREATE TABLE public.used (v ext.hstore)")
	wantError(t, extension.tryDelete(), "dropping extension hstore", "SQLSTATE 2BP01")
	w.sql("DROP TABLE public.used")
	extension.delete()
	wantError(t, extension.tryDelete(), "dropping extension hstore", "SQLSTATE 42704")
	if extension.refresh() {
		t.Error("a dropped extension is still there")
	}
}

func TestExtensionVersions(t *testing.T) {
	w := newWorld(t)
	old := values{"name": "hstore", "version": "1.4"}
	extension := w.create(extensionType, old)
	extension.wantDiff(values{"name": "hstore"}, nil)
	extension.wantDiff(values{"name": "hstore", "version": "1.7"}, nil, "version")
	extension.update(values{"name": "hstore", "version": "1.7"})
	w.ask("SELECT extversion FROM pg_extension WHERE extname = 'hstore'", "1.7")
	wantError(t, extension.tryUpdate(values{"name": "hstore", "version": "9"}), "updating extension hstore", "SQLSTATE 22023")
}

func TestExtensionCascades(t *testing.T) {
	w := newWorld(t)
	_, err := w.try(extensionType, values{"name": "earthdistance"})
	wantError(t, err, "creating extension earthdistance", "SQLSTATE 42704")
	w.create(extensionType, values{"name": "earthdistance", "createCascade": true})
	w.ask("SELECT count(*) FROM pg_extension WHERE extname IN ('cube', 'earthdistance')", "2")
}

func TestExtensionWithoutSuperuser(t *testing.T) {
	w := newWorld(t)
	w.asProvisioner(nil)
	w.create(extensionType, values{"name": "hstore"}).delete()
	_, err := w.try(extensionType, values{"name": "dblink"})
	wantError(t, err, "creating extension dblink", "SQLSTATE 42501")
}
