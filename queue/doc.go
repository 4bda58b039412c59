// Package queue holds what was accepted until it has been stored: by priority,
// first in first out within each, with leases, retries and dead letters
// (CONFORMANCE Q1 to Q16).
//
// Queue is the portable part: order, leases, retry and drop policy, waiting,
// statistics. A Driver only keeps items; queue/memory forgets them with the
// process, queue/sqlite keeps them in the database of the data directory. Both
// pass the same suite, queue/queuetest.
//
// Delivery is at least once. An item whose effect is committed with its
// removal (see Result.Effect) takes effect exactly once.
package queue
