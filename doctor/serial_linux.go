package doctor

import (
	"errors"
	"os/user"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// deniedTo says why this user may not read and write a device file; nil where
// access is granted. The device is not opened, which would wake it.
func deniedTo(device string) (*denial, error) {
	err := unix.Faccessat(unix.AT_FDCWD, device, unix.R_OK|unix.W_OK, unix.AT_EACCESS)
	if !errors.Is(err, unix.EACCES) {
		return nil, err
	}
	var stat unix.Stat_t
	if err := unix.Stat(device, &stat); err != nil {
		return nil, err
	}
	gid := strconv.FormatUint(uint64(stat.Gid), 10)
	d := &denial{group: gid, admin: stat.Gid == 0}
	if g, err := user.LookupGroupId(gid); err == nil {
		d.group = g.Name
	}
	if u, err := user.Current(); err == nil && stat.Mode&0o060 == 0o060 {
		groups, err := u.GroupIds()
		d.listed = err == nil && slices.Contains(groups, gid)
	}
	return d, nil
}
