package sqlite_test

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"dynotap/internal/db"
	"dynotap/queue"
	"dynotap/queue/queuetest"
	"dynotap/queue/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// medium is a data directory.
type medium struct {
	dir  string
	opts db.Options
	db   *db.DB
}

func (m *medium) Driver(tb testing.TB) queue.Driver {
	tb.Helper()
	d, err := db.Open(context.Background(), m.dir, m.opts)
	if err != nil {
		tb.Fatal(err)
	}
	m.db = d
	return sqlite.New(d)
}

func (m *medium) Close(tb testing.TB) {
	tb.Helper()
	if m.db == nil {
		return
	}
	if err := m.db.Close(); err != nil {
		tb.Error(err)
	}
	m.db = nil
}

func (*medium) Durable() bool { return true }

func newMedium(tb testing.TB, opts db.Options) *medium {
	tb.Helper()
	m := &medium{dir: tb.TempDir(), opts: opts}
	tb.Cleanup(func() { m.Close(tb) })
	return m
}

func TestQueue(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(tb testing.TB) queuetest.Medium {
		tb.Helper()
		return newMedium(tb, db.Options{})
	})
}
