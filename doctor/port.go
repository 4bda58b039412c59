package doctor

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"dynotap/source/jetdrive"
)

// findPort says whether the port can be had, and with whom it is shared.
func (s *scene) findPort() []Finding {
	port := s.settings.Conn.Port
	f := Finding{Check: checkPort, Severity: OK, Details: map[string]any{"port": port}}
	users := portUsers(s.machine.files, port)
	if len(users) > 0 {
		f.Details["users"] = users
	}
	var unusable *jetdrive.InterfaceError
	switch err := s.main.err; {
	case errors.Is(err, jetdrive.ErrPortHeld):
		f.Severity = Error
		f.Found = fmt.Sprintf("UDP port %d is held by %s, which does not share it (opened without SO_REUSEADDR)", port, holders(users))
		f.Mend = "Close that program, or start it after dynotap if it can share the port. " + s.whoHolds(port, users)
	case errors.As(err, &unusable):
		return nil // said already
	case err != nil:
		f.Severity, f.Found = Error, fmt.Sprintf("cannot listen: %v", err)
		f.Mend = "Choose another port or group in section jetdrive of the configuration, as Power Core has it; dynotap config check reads it."
	default:
		f.Found = fmt.Sprintf("UDP port %d can be shared", port)
		if others := foreign(users); len(others) > 0 {
			f.Found += "; also open in " + strings.Join(others, ", ")
		}
	}
	return []Finding{f}
}

// whoHolds is how to find out, where the system did not say.
func (n *network) whoHolds(port uint16, users []portUser) string {
	if len(foreign(users)) > 0 {
		return ""
	}
	switch n.machine.system {
	case windows:
		return fmt.Sprintf("Which one it is: netstat -ano -p UDP | findstr :%d gives its number, Task Manager > Details its name.", port)
	case macOS:
		return fmt.Sprintf("Which one it is: sudo lsof -nP -iUDP:%d", port)
	}
	return fmt.Sprintf("Which one it is: sudo ss -ulpn sport = :%d", port)
}

// portUser is a socket on the port.
type portUser struct {
	PID     int    `json:"pid,omitempty"` // 0: of another user, not ours to see
	Program string `json:"program,omitempty"`
	User    string `json:"user"`
}

func (u portUser) String() string {
	if u.PID == 0 {
		return "a program of user " + u.User
	}
	return fmt.Sprintf("%s (process %d)", u.Program, u.PID)
}

// holders names those in whose hands a port is that cannot be had.
func holders(users []portUser) string {
	if len(users) == 0 {
		return "another program"
	}
	out := make([]string, 0, len(users))
	for _, u := range users {
		out = append(out, u.String())
	}
	return strings.Join(out, " or ")
}

// foreign names the programs but this one.
func foreign(users []portUser) []string {
	var out []string
	for _, u := range users {
		if u.PID != os.Getpid() {
			out = append(out, u.String())
		}
	}
	return out
}

// portUsers lists who has the UDP port open, from /proc; nothing where there
// is none.
func portUsers(root fs.FS, port uint16) []portUser {
	if root == nil {
		return nil
	}
	owners := map[string]string{} // user by inode
	for _, table := range []string{"proc/net/udp", "proc/net/udp6"} {
		text, err := fs.ReadFile(root, table)
		if err != nil {
			continue // IPv6 may be switched off
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if len(fields) < 10 {
				continue
			}
			_, local, _ := strings.Cut(fields[1], ":")
			if at, err := strconv.ParseUint(local, 16, 16); err == nil && uint16(at) == port {
				owners[fields[9]] = fields[7]
			}
		}
	}
	if len(owners) == 0 {
		return nil
	}
	return socketUsers(root, owners)
}

// socketUsers finds the processes of sockets, given by inode with the user id.
func socketUsers(root fs.FS, owners map[string]string) []portUser {
	var out []portUser
	descriptors, _ := fs.Glob(root, "proc/[0-9]*/fd/*") // what may not be seen is left out
	for _, path := range descriptors {
		target, err := fs.ReadLink(root, path)
		if err != nil {
			continue // closed, or another user's
		}
		inode := strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]")
		uid, ours := owners[inode]
		if !ours || inode == target {
			continue
		}
		delete(owners, inode)
		pid, _, _ := strings.Cut(strings.TrimPrefix(path, "proc/"), "/")
		u := portUser{User: userName(uid), Program: "unknown"}
		u.PID, _ = strconv.Atoi(pid)
		if name, err := fs.ReadFile(root, "proc/"+pid+"/comm"); err == nil {
			u.Program = string(bytes.TrimSpace(name))
		}
		if !slices.Contains(out, u) {
			out = append(out, u)
		}
	}
	for _, uid := range owners {
		if u := (portUser{User: userName(uid)}); !slices.Contains(out, u) {
			out = append(out, u)
		}
	}
	return out
}

// userName is the name of a user id, or the id.
func userName(uid string) string {
	if u, err := user.LookupId(uid); err == nil {
		return u.Username
	}
	return uid
}
