package tests

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
)

// Tenants and shared logins that come, change in every way and go in the same runs do not deadlock,
// although the provider locks roles and their members in no order.
func TestManyChangesAtOnce(t *testing.T) {
	modes(t, func(t *testing.T, p *platform) {
		up := func(t *testing.T) { p.up(t) }
		alternating := object{"logins": object{"active": "a"}}
		rotatedAlternating := object{"passwordVersion": 2, "logins": object{"active": "a", "a": object{"passwordVersion": 2}, "b": object{"passwordVersion": 2}}}
		rotated := object{"passwordVersion": 2}

		before, after, gone := object{}, object{}, object{}
		for i, changed := range []object{rotated, {"connectionLimit": 4}, {"suspended": true}, {"retire": "keep"}} {
			for j, key := range []string{fmt.Sprint("a", i), fmt.Sprint("b", i)} {
				before[key], after[key] = object{}, maps.Clone(changed)
				if j == 1 {
					before[key], after[key] = object{"schema": key}, with(changed, "schema", key)
				}
			}
			before[fmt.Sprint("two", i)], after[fmt.Sprint("two", i)] = alternating, rotatedAlternating
			after[fmt.Sprint("new", i)] = object{}
		}
		p.configure(t, before, object{"app": alternating, "admin": alternating}, object{"analyst": object{}, "dashboard": alternating})
		p.inQueue(t, up)

		roles := object{"app": rotatedAlternating, "admin": rotatedAlternating}
		readers := object{"analyst": rotated, "dashboard": rotatedAlternating}
		p.configure(t, after, roles, readers)
		p.inQueue(t, up)

		super := p.superuser(t, database)
		for key := range after {
			super.may(t, "ALTER ROLE tenant_"+key+" CONNECTION LIMIT 3")
			gone[key] = with(after[key].(object), "retire", "drop")
		}
		p.inQueue(t, func(t *testing.T) {
			if err := p.repair(t); err != nil {
				t.Error(err)
			}
		})

		p.configure(t, gone, roles, readers)
		p.inQueue(t, up)
		p.configure(t, object{"last": object{}}, object{})
		p.inQueue(t, up)
	})
}

// What tenants have beyond a role and a schema, readers, extensions and alternating logins go without a
// deadlock, while the tenants stay. Logins and the privileges of their group role go in the same run.
func TestManyRemovalsAtOnce(t *testing.T) {
	modes(t, func(t *testing.T, p *platform) {
		alternating := object{"logins": object{"active": "a"}}
		members := object{"writer": alternating}
		for i := range 6 {
			members[fmt.Sprint("chat", i)] = object{}
		}
		p.settings = withExtensions(`{"cube": {}, "citext": {}}`)
		p.configure(t, object{
			"acme":   object{"agents": members},
			"globex": with(alternating, "executeFunctions", true),
		}, object{"admin": alternating}, members)
		p.up(t)

		p.settings = unprotected()
		p.configure(t, object{"acme": object{}, "globex": object{}}, nil)
		p.inQueue(t, func(t *testing.T) { p.up(t) })
	})
}

// inQueue deploys while others queue for the provider's locks, and fails unless all took effect.
func (p *platform) inQueue(t *testing.T, deploy func(*testing.T)) {
	t.Helper()
	stop := p.queueForLocks(t)
	deploy(t)
	stop()
	p.clean(t)
}

// queueForLocks holds, in turn and until it is stopped, the lock that the provider takes on the user it
// connects as, and the locks on all logins. What waits for one of them in line has its other locks by
// then, and deadlocks if it can, instead of once in a hundred runs. It never waits with a lock in hand.
func (p *platform) queueForLocks(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	held, super := make(chan error, 1), p.superuser(t, database)
	go func() {
		_, err := super.Exec(ctx, `DO $$ DECLARE provider bigint := '`+p.user+`'::regrole::oid; BEGIN
			LOOP
				PERFORM pg_advisory_lock(provider), pg_sleep(0.1);
				PERFORM pg_advisory_unlock(provider), pg_sleep(0.01);
				PERFORM pg_try_advisory_lock(oid::bigint) FROM pg_authid WHERE rolcanlogin AND oid <> provider;
				PERFORM pg_sleep(0.1), pg_advisory_unlock_all();
			END LOOP;
		END $$`)
		held <- err
	}()
	return func() {
		cancel()
		if err := <-held; !errors.Is(err, context.Canceled) {
			t.Errorf("the lock was not held to the end: %v", err)
		}
	}
}
