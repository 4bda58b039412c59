package sqlite_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"dynotap/internal/db"
	"dynotap/queue"
	"dynotap/queue/sqlite"
)

const (
	envSmallDisk = "DYNOTAP_SMALL_DISK" // where a child of this test mounts one
	smallDisk    = 8 << 20
	noMount      = 77 // the child's exit code when it may not
)

// TestQ13FullDisk fills a disk in truth: a child of its own mounts a small
// file system that nobody else sees and that ends with it.
func TestQ13FullDisk(t *testing.T) {
	if dir := os.Getenv(envSmallDisk); dir != "" {
		onSmallDisk(t, dir)
		return
	}
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(exe, "-test.run=^TestQ13FullDisk$", "-test.v")
	child.Env = append(os.Environ(), envSmallDisk+"="+t.TempDir())
	child.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if uid, gid := os.Getuid(), os.Getgid(); uid != 0 {
		child.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		child.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: uid, Size: 1}}
		child.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: gid, Size: 1}}
	}
	out, err := child.CombinedOutput()
	switch code := child.ProcessState.ExitCode(); {
	case err == nil:
		t.Logf("%s", out)
	case code == noMount || errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC):
		why := fmt.Sprintf("this user may not mount a file system of his own: %v %s", err, out)
		if os.Getenv("REQUIRE_ALL") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	default:
		t.Errorf("%v\n%s", err, out)
	}
}

func onSmallDisk(t *testing.T, dir string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", smallDisk)); err != nil {
		fmt.Println(err)
		os.Exit(noMount)
	}
	disk := &disk{t: t, dir: dir}
	t.Run("fills up under load", func(t *testing.T) { testFillsUp(t, disk) })
	t.Run("read-only", func(t *testing.T) { testReadOnly(t, disk) })
	for _, free := range []int{0, 16 << 10, 1 << 20} {
		t.Run(fmt.Sprintf("start with %d KiB", free>>10), func(t *testing.T) { testStartsFull(t, disk, free) })
	}
}

// disk is a small file system and what fills it.
type disk struct {
	t   *testing.T
	dir string
}

// fill leaves so many bytes.
func (d *disk) fill(free int) {
	file, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer file.Close()
	page := make([]byte, 4096)
	size := int64(0)
	for err == nil {
		n, e := file.Write(page)
		size, err = size+int64(n), e
	}
	if !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatal(err)
	}
	if free > 0 {
		info, err := file.Stat()
		if err == nil {
			err = file.Truncate(max(0, info.Size()-int64(free)))
		}
		if err != nil {
			d.t.Fatal(err)
		}
	}
}

func (d *disk) relieve() {
	if err := os.Remove(d.ballast()); err != nil && !errors.Is(err, os.ErrNotExist) {
		d.t.Fatal(err)
	}
}

func (d *disk) ballast() string { return filepath.Join(d.dir, "ballast") }

func testFillsUp(t *testing.T, disk *disk) {
	t.Helper()
	d, q := openQueue(t, filepath.Join(disk.dir, "load"), "", insistent(), queue.Options{})
	var full, other, relieved atomic.Int64
	insist(t, d, q, 60, 5000, func(err error) {
		switch {
		case errors.Is(err, db.ErrDiskFull):
			full.Add(1)
		case errors.Is(err, db.ErrIO): // there was space again before anybody could look
			other.Add(1)
		default:
			t.Errorf("enqueue on a full disk: %v", err)
		}
	}, func(round int) {
		if round < 0 || round%8 == 3 {
			disk.relieve()
			relieved.Add(1)
		} else {
			disk.fill(0)
		}
	})
	if full.Load() == 0 || other.Load() > 4*relieved.Load() {
		t.Errorf("refused %d times for want of space, %d times for another reason", full.Load(), other.Load())
	}
	t.Logf("refused %d times for want of space, %d for another reason; relieved %d times", full.Load(), other.Load(), relieved.Load())
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// testStartsFull starts on a full disk: it serves what is there, as far as the
// space goes, or says what is wrong; with space everything is there.
func testStartsFull(t *testing.T, disk *disk, free int) {
	t.Helper()
	const items = 60
	dir := filepath.Join(disk.dir, fmt.Sprint(free))
	d, q := openQueue(t, dir, "", insistent(), queue.Options{})
	for i := range items {
		payload := fmt.Appendf(nil, "%d %s", i, strings.Repeat("x", 3000))
		if _, err := q.Enqueue(t.Context(), queue.Item{Source: "s", Payload: payload}); err != nil {
			t.Fatal(err)
		}
	}
	disk.fill(0)
	if err := d.Close(); err != nil {
		t.Errorf("close on a full disk: %v", err)
	}
	disk.fill(free)
	settled := 0
	if d, err := db.Open(t.Context(), dir, db.Options{Fsync: true}); err != nil {
		if !errors.Is(err, db.ErrDiskFull) {
			t.Errorf("open on a full disk: %v", err)
		}
		t.Log(err)
	} else {
		settled = serveFull(t, d)
	}
	disk.relieve()
	d, q = openQueue(t, dir, "", insistent(), queue.Options{})
	var left []string
	for q.Len() > 0 {
		taken, err := q.Dequeue(t.Context(), 7)
		if err == nil {
			err = q.Settle(t.Context(), taken, make([]queue.Result, len(taken)))
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range taken {
			left = append(left, nameOf(taken[i].Payload))
		}
	}
	for i, name := range left {
		if name != fmt.Sprint(settled+i) {
			t.Fatalf("item %d of %d is %s, %d were settled before", i, len(left), name, settled)
		}
	}
	if len(left) != items-settled {
		t.Errorf("%d settled on the full disk, %d left of %d", settled, len(left), items)
	}
	if free >= 1<<20 && settled == 0 {
		t.Error("nothing was settled, though there was some space")
	}
	t.Logf("%d settled on the full disk", settled)
	if err := errors.Join(sound(t.Context(), d), d.Close()); err != nil {
		t.Error(err)
	}
}

// serveFull takes what it can on a full disk and tells how much.
func serveFull(t *testing.T, d *db.DB) (settled int) {
	t.Helper()
	defer func() {
		if err := d.Close(); err != nil {
			t.Errorf("close on a full disk: %v", err)
		}
	}()
	q, err := queue.New(sqlite.New(d), insistent(), queue.Options{})
	if err != nil {
		t.Errorf("queue on a full disk: %v", err)
		return 0
	}
	for q.Len() > 0 {
		taken, err := q.Dequeue(t.Context(), 5)
		if err != nil {
			t.Errorf("dequeue on a full disk: %v", err)
			return settled
		}
		if err := q.Settle(t.Context(), taken, make([]queue.Result, len(taken))); err != nil {
			if !errors.Is(err, db.ErrDiskFull) {
				t.Errorf("settle on a full disk: %v", err)
			}
			t.Log(err)
			break
		}
		settled += len(taken)
	}
	if _, err := q.Enqueue(t.Context(), queue.Item{Source: "s", Payload: make([]byte, smallDisk)}); !errors.Is(err, db.ErrDiskFull) {
		t.Errorf("enqueue on a full disk: %v", err)
	}
	return settled
}
