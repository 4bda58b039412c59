package memory_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"dynotap/internal/db"
	"dynotap/queue"
	"dynotap/queue/memory"
	"dynotap/queue/queuetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type medium struct{ db *db.DB }

func (medium) Driver(testing.TB) queue.Driver { return memory.New() }
func (medium) Close(testing.TB)               {}
func (medium) Durable() bool                  { return false }

// Apply commits effects where a store would.
func (m medium) Apply() func(context.Context, []db.Effect) []error {
	return func(ctx context.Context, effects []db.Effect) []error {
		errs := make([]error, len(effects))
		for i, effect := range effects {
			errs[i] = m.db.Write(ctx, effect)
		}
		return errs
	}
}

func TestQueue(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(tb testing.TB) queuetest.Medium {
		tb.Helper()
		d, err := db.Open(context.Background(), filepath.Join(tb.TempDir(), "store"), db.Options{})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() {
			if err := errors.Join(d.Close()); err != nil {
				tb.Error(err)
			}
		})
		return medium{db: d}
	})
}
