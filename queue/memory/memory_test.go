package memory_test

import (
	"testing"

	"go.uber.org/goleak"

	"dynotap/queue"
	"dynotap/queue/memory"
	"dynotap/queue/queuetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type medium struct{}

func (medium) Driver(testing.TB) queue.Driver { return memory.New() }
func (medium) Close(testing.TB)               {}
func (medium) Durable() bool                  { return false }

func TestQueue(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(testing.TB) queuetest.Medium { return medium{} })
}
