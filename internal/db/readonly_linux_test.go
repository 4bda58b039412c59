package db

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestQ13ReadOnlyFileSystem opens on a file system that became read-only, and
// writes to one that does while it is open.
func TestQ13ReadOnlyFileSystem(t *testing.T) {
	t.Parallel()
	mount := t.TempDir()
	if err := unix.Mount("none", mount, "tmpfs", 0, "size=32m"); err != nil {
		unavailable(t, "no file system can be mounted here: "+err.Error())
	}
	t.Cleanup(func() { check(t, unix.Unmount(mount, unix.MNT_DETACH)) })
	dir := filepath.Join(mount, "data")
	d := openIn(t, dir)
	check(t, putMeta(d, "before"), d.Close())
	check(t, unix.Mount("none", mount, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	d, err := Open(t.Context(), dir, Options{})
	if d != nil || !errors.Is(err, ErrReadOnly) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "writable") {
		t.Errorf("opened with %v", err)
	}
	if _, err := HolderOf(dir); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("holder: %v", err)
	}
	check(t, unix.Mount("none", mount, "", unix.MS_REMOUNT, ""))
	if d := openIn(t, dir); !strings.Contains(metaKeys(t, d), "before") {
		t.Error("the row is gone")
	} else {
		check(t, d.Close())
	}
}

// TestQ13DamagedOnASmallDisk has no room for a copy of what can be read.
func TestQ13DamagedOnASmallDisk(t *testing.T) {
	t.Parallel()
	mount := t.TempDir()
	if err := unix.Mount("none", mount, "tmpfs", 0, "size=4m"); err != nil {
		unavailable(t, "no file system can be mounted here: "+err.Error())
	}
	t.Cleanup(func() { check(t, unix.Unmount(mount, unix.MNT_DETACH)) })
	bad := prepared(t).clean.copy()
	garble(pageOf(t, bad, queueTable, leafTable), 2000)(t, bad)
	bad.save(t, mount)
	d, err := Open(t.Context(), mount, Options{})
	if d != nil || !errors.Is(err, ErrDiskFull) || !strings.Contains(err.Error(), "MB free") || !strings.Contains(err.Error(), errDoubtful.Error()) {
		t.Errorf("opened with %v", err)
	}
	if after := load(mount); string(after[FileName]) != string(bad[FileName]) {
		t.Error("the file was changed")
	}
	check(t, unix.Mount("none", mount, "", unix.MS_REMOUNT, "size=64m"))
	if d := openIn(t, mount); len(d.Quarantined()) != 1 {
		t.Errorf("quarantines %v", d.Quarantined())
	} else {
		check(t, d.Close())
	}
}
