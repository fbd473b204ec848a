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
		run := func(do func(*testing.T)) {
			t.Helper()
			stop := p.queueForProvider(t)
			do(t)
			stop()
			p.clean(t)
		}
		up := func(t *testing.T) { p.up(t) }
		alternating := object{"logins": object{"active": "a"}}
		rotatedLogins := object{"passwordVersion": 2, "logins": object{"active": "a", "a": object{"passwordVersion": 2}, "b": object{"passwordVersion": 2}}}
		rotated := object{"passwordVersion": 2}

		before, after, gone := object{}, object{}, object{}
		for i, changed := range []object{rotated, {"connectionLimit": 4}, {"suspended": true}, {"retire": "keep"}} {
			for half, key := range []string{fmt.Sprint("a", i), fmt.Sprint("b", i)} {
				before[key], after[key] = object{}, maps.Clone(changed)
				if half == 1 {
					before[key], after[key] = object{"schema": key}, with(changed, "schema", key)
				}
			}
			before[fmt.Sprint("pair", i)], after[fmt.Sprint("pair", i)] = alternating, rotatedLogins
			after[fmt.Sprint("new", i)] = object{}
		}
		p.configure(t, before, object{"analyst": object{}, "dashboard": alternating, "app": alternating, "admin": alternating})
		run(up)

		roles := object{"analyst": rotated, "dashboard": rotatedLogins, "app": rotatedLogins, "admin": rotatedLogins}
		p.configure(t, after, roles)
		run(up)

		super := p.superuser(t, database)
		for key := range after {
			super.may(t, "ALTER ROLE tenant_"+key+" CONNECTION LIMIT 3")
			gone[key] = with(after[key].(object), "retire", "drop")
		}
		run(func(t *testing.T) {
			if err := p.repair(t); err != nil {
				t.Error(err)
			}
		})

		p.configure(t, gone, roles)
		run(up)
		p.configure(t, object{"last": object{}}, object{})
		run(up)
	})
}

// queueForProvider holds the lock that the provider takes on the user it connects as, over and over,
// until it is stopped. What waits for it in line has its other locks by then, and deadlocks if it can,
// instead of once in a hundred runs.
func (p *platform) queueForProvider(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	held, super := make(chan error, 1), p.superuser(t, database)
	go func() {
		_, err := super.Exec(ctx, `DO $$ DECLARE provider bigint := '`+p.user+`'::regrole::oid; BEGIN
			LOOP
				PERFORM pg_advisory_lock(provider), pg_sleep(0.1);
				PERFORM pg_advisory_unlock(provider), pg_sleep(0.01);
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
