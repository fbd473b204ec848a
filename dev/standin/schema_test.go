package standin

import (
	"testing"
)

func TestSchemaAdoptsWhatIsThere(t *testing.T) {
	for _, ifNotExists := range []bool{true, false} {
		t.Run(map[bool]string{true: "if not exists", false: "or else"}[ifNotExists], func(t *testing.T) {
			w := newWorld(t)
			w.create(roleType, values{"name": "first"})
			w.create(roleType, values{"name": "second"})
			w.create(schemaType, values{"name": "shared", "owner": "first"})
			w.create(schemaType, values{"name": "shared", "owner": "second", "ifNotExists": ifNotExists})
			w.ask("SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'shared'", "second")
		})
	}
}

func TestSchemaIsNotDroppedWithSomethingInIt(t *testing.T) {
	w := newWorld(t)
	schema := w.create(schemaType, values{"name": "full"})
	w.sql("CREATE TABLE \"full\".data ()")
	wantError(t, schema.tryDelete(), "dropping schema full", "SQLSTATE 2BP01")
	w.ask("SELECT count(*) FROM pg_tables WHERE tablename = 'data'", "1")

	schema.update(values{"name": "full", "dropCascade": true})
	schema.delete()
	w.ask("SELECT count(*) FROM pg_namespace WHERE nspname = 'full'", "0")
	schema.delete() // what is gone needs no dropping
}

func TestSchemaOfAnotherOwnerCannotBeChanged(t *testing.T) {
	w := newWorld(t)
	w.asProvisioner(nil)
	w.create(roleType, values{"name": "owner"})
	schema := w.create(schemaType, values{"name": "s", "owner": "owner"})
	err := schema.tryUpdate(values{"name": "s", "owner": "prov"})
	wantError(t, err, "changing the owner of schema s", "SQLSTATE 42501")
	initFailure(t, err)
	wantError(t, schema.tryUpdate(values{"name": "renamed", "owner": "owner"}), "renaming schema s", "SQLSTATE 42501")
	schema.delete() // for this the owner is borrowed
}

func TestSchemaTakesDatabaseAndOwnerFromTheServer(t *testing.T) {
	w := newWorld(t)
	inputs := values{"name": "s"}
	planned := w.previewCreate(schemaType, inputs)
	if !planned["owner"].IsComputed() || !planned["database"].IsComputed() {
		t.Errorf("previewed %v", planned)
	}
	schema := w.create(schemaType, inputs)
	if schema.id != w.name+".s" || schema.get("owner").StringValue() != "postgres" || schema.get("database").StringValue() != w.name {
		t.Errorf("got %s %v", schema.id, schema.output)
	}
	w.create(roleType, values{"name": "thief"})
	w.sql("ALTER SCHEMA s OWNER TO thief")
	schema.refresh()
	schema.wantDiff(inputs, nil)
	schema.wantDiff(values{"name": "s", "owner": "postgres"}, nil, "owner")
	schema.update(values{"name": "renamed", "owner": "postgres"})
	w.ask("SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'renamed'", "postgres")

	if diff := schema.diff(values{"name": "renamed", "database": "another"}); len(diff.GetReplaces()) != 1 || !diff.GetDeleteBeforeReplace() {
		t.Errorf("got %v, want a replacement", diff)
	}
	w.sql("DROP SCHEMA renamed")
	if schema.refresh() {
		t.Error("a dropped schema is still there")
	}
}
