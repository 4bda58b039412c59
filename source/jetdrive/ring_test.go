package jetdrive

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func pending(r *ring) int { return int(r.published.Load() - r.consumed.Load()) }

// put publishes one datagram; false when the ring is full.
func put(r *ring, data []byte) bool {
	room := r.reserve()
	if room == nil {
		return false
	}
	r.publish(copy(room, data), netip.AddrPort{}, time.Time{})
	return true
}

func TestRingKeepsEveryByteInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const longest = 64
		r := newRing(rapid.IntRange(1, 12).Draw(t, "datagrams"), longest)
		r.arena = make([]byte, 2*longest+rapid.IntRange(0, 10).Draw(t, "arena")*alignment)
		var model [][]byte
		write := func() {
			room := r.reserve()
			if room == nil {
				return
			}
			for i := range room {
				room[i] = 0xEE // a read may use all of it
			}
			// Sizes about the longest make the ends of the arena meet.
			data := bytes.Repeat([]byte{byte(len(model))}, rapid.SampledFrom([]int{0, 1, 8, 9, 40, 56, 63, 64}).Draw(t, "size"))
			copy(room, data)
			r.publish(len(data), netip.AddrPort{}, time.Time{})
			model = append(model, data)
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(*rapid.T) { write() },
			"take": func(t *rapid.T) {
				waiting := len(model)
				taken := r.take(func(p Packet) {
					for range rapid.IntRange(0, 3).Draw(t, "meanwhile") {
						write()
					}
					if !bytes.Equal(p.Data, model[0]) || cap(p.Data) != len(p.Data) {
						t.Fatalf("took %x, want %x", p.Data, model[0])
					}
					model = model[1:]
				})
				if taken != waiting {
					t.Fatalf("took %d of %d", taken, waiting)
				}
			},
			"": func(t *rapid.T) {
				if pending(r) != len(model) {
					t.Fatalf("%d wait, want %d", pending(r), len(model))
				}
			},
		})
	})
}

func TestRingHoldsItsNumberOfUsualDatagrams(t *testing.T) {
	t.Parallel()
	r := newRing(100, longestDatagram)
	data := make([]byte, 1472)
	for i := range 100 {
		if !put(r, data) {
			t.Fatalf("full after %d", i)
		}
	}
	if put(r, data) {
		t.Error("holds one too many")
	}
}

func TestRingHoldsFewOfTheLongest(t *testing.T) {
	t.Parallel()
	r := newRing(DefaultBufferDatagrams, longestDatagram)
	long := bytes.Repeat([]byte{7}, 65507)
	count := 0
	for put(r, long) {
		count++
	}
	if count < 100 || count > 200 {
		t.Errorf("%d of them", count)
	}
	taken := r.take(func(p Packet) {
		if !bytes.Equal(p.Data, long) {
			t.Error("a datagram was changed")
		}
	})
	if taken != count || !put(r, long) {
		t.Errorf("took %d", taken)
	}
}

func TestRingStartsAgainWhenEmpty(t *testing.T) {
	t.Parallel()
	r := newRing(8, 64)
	for range 100 {
		put(r, make([]byte, 60))
		if r.at != 64 {
			t.Fatalf("the arena is used up to %d", r.at)
		}
		r.take(func(Packet) {})
	}
}

func TestRingWakesAnIdleTaker(t *testing.T) {
	t.Parallel()
	token := func(r *ring) bool {
		select {
		case <-r.ready:
			return true
		default:
			return false
		}
	}
	r := newRing(8, 64)
	if token(r) {
		t.Error("woken for nothing")
	}
	put(r, nil)
	if !token(r) {
		t.Error("not woken for the first packet")
	}
	put(r, nil)
	r.take(func(Packet) { put(r, nil) }) // more come while it takes
	if pending(r) != 2 || !token(r) {
		t.Errorf("not woken for the %d that came meanwhile", pending(r))
	}
	r.take(func(Packet) {})
	if token(r) {
		t.Error("woken although nothing came")
	}
	put(r, nil)
	if !token(r) {
		t.Error("not woken for the next packet")
	}
}

func TestRingBetweenTwoGoroutines(t *testing.T) {
	t.Parallel()
	const total = 50_000
	r := newRing(16, 64)
	go func() {
		for i := range uint64(total) {
			room := r.reserve()
			for room == nil {
				room = r.await(time.Minute)
			}
			size := 8 + i%57
			for at := range room[:size] {
				room[at] = byte(i)
			}
			binary.LittleEndian.PutUint64(room, i)
			r.publish(int(size), netip.AddrPort{}, time.Time{})
		}
	}()
	next := uint64(0)
	for next < total {
		<-r.ready
		r.take(func(p Packet) {
			if got := binary.LittleEndian.Uint64(p.Data); got != next || len(p.Data) != int(8+next%57) {
				t.Errorf("took %d of %d bytes, want %d", got, len(p.Data), next)
			}
			for _, b := range p.Data[8:] {
				if b != byte(next) {
					t.Fatalf("packet %d was overwritten", next)
				}
			}
			next++
		})
	}
}

func TestWriterWaitsForRoomOnlySoLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRing(2, 64)
		put(r, nil)
		put(r, nil)
		start := time.Now()
		if r.await(fullPatience) != nil {
			t.Error("room in a full ring")
		}
		if waited := time.Since(start); waited != fullPatience {
			t.Errorf("waited %v", waited)
		}
		go func() {
			time.Sleep(5 * time.Millisecond) // synthetic time
			r.take(func(Packet) {})
		}()
		start = time.Now()
		if r.await(fullPatience) == nil {
			t.Error("no room although the taker made some")
		}
		if waited := time.Since(start); waited != 5*time.Millisecond {
			t.Errorf("waited %v", waited)
		}
	})
}

func TestTakingDoesNotAllocate(t *testing.T) {
	r := newRing(8, 64)
	data, seen := []byte("datagram"), 0
	each := func(Packet) { seen++ }
	if n := testing.AllocsPerRun(100, func() {
		put(r, data)
		r.take(each)
	}); n != 0 {
		t.Errorf("%v allocations a datagram", n)
	}
}

// A panic in a decoder is an error of that packet: it does not come again, and
// those after it do.
func TestC4APacketWhoseHandlingPanicsDoesNotComeAgain(t *testing.T) {
	t.Parallel()
	r := newRing(8, 64)
	for i := range 3 {
		r.reserve()[0] = byte(i)
		r.publish(1, netip.AddrPort{}, time.Now())
	}
	var seen []byte
	take := func() (panicked bool) {
		defer func() { panicked = recover() != nil }()
		r.take(func(p Packet) {
			seen = append(seen, p.Data[0])
			if p.Data[0] == 1 {
				panic("a decoder")
			}
		})
		return false
	}
	if !take() || take() || take() || string(seen) != "\x00\x01\x02" {
		t.Errorf("handled %v", seen)
	}
}
