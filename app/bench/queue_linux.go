package bench

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// syncData flushes what SQLite flushes on Linux.
func syncData(f *os.File) error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// fileSystem names what dir lies on, and says what that means for the figures.
func fileSystem(dir string) (name, note string) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return "", ""
	}
	names := map[int64]string{
		unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs", unix.F2FS_SUPER_MAGIC: "f2fs",
		unix.OVERLAYFS_SUPER_MAGIC: "overlayfs", unix.NFS_SUPER_MAGIC: "nfs", 0x2fc12fc1: "zfs", unix.TMPFS_MAGIC: "tmpfs",
	}
	name = names[int64(stat.Type)] //nolint:unconvert // not the same type everywhere
	switch name {
	case "":
		name = fmt.Sprintf("type 0x%x", stat.Type)
	case "tmpfs":
		note = "tmpfs is no disk: flushing costs nothing there; name a directory on a disk with --dir"
	}
	return name, note
}
