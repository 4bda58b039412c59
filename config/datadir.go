package config

import (
	"errors"
	"path/filepath"
	"runtime"
	"strings"
)

// DataDir is the data directory: flag (--data) if it is not empty, else
// queue.persist_path, else the place where the system keeps a user's data. A
// relative path counts from the working directory. It fails where the system
// names no home.
func (l *Loaded) DataDir(flag string) (string, error) {
	switch {
	case flag != "":
		return flag, nil
	case l.Config.Queue.PersistPath != "":
		return l.Config.Queue.PersistPath, nil
	}
	return userDataDir(runtime.GOOS, l.opts.Environ)
}

var errNoHome = errors.New("no home directory is known to put data into: name a directory with --data")

// userDataDir follows the XDG base directory specification, where it is set
// on macOS too; macOS' own place and Windows' otherwise.
func userDataDir(system string, environ []string) (string, error) {
	env := map[string]string{}
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		if system == "windows" {
			name = strings.ToUpper(name)
		}
		env[name] = text
	}
	const program = "dynotap"
	if system == "windows" {
		if dir := env["LOCALAPPDATA"]; dir != "" {
			return filepath.Join(dir, program), nil
		}
		if home := env["USERPROFILE"]; home != "" {
			return filepath.Join(home, "AppData", "Local", program), nil
		}
		return "", errNoHome
	}
	// The specification has relative paths ignored.
	if dir := env["XDG_DATA_HOME"]; filepath.IsAbs(dir) {
		return filepath.Join(dir, program), nil
	}
	home := env["HOME"]
	switch {
	case home == "":
		return "", errNoHome
	case system == "darwin":
		return filepath.Join(home, "Library", "Application Support", program), nil
	}
	return filepath.Join(home, ".local", "share", program), nil
}
