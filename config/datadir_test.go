package config

import (
	"errors"
	"path/filepath"
	"testing"
)

func TestDataDir(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, system string
		environ      []string
		want         string
	}{
		{"XDG", "linux", []string{"HOME=/home/a", "XDG_DATA_HOME=/data"}, "/data/dynotap"},
		{"XDG on macOS", "darwin", []string{"HOME=/Users/a", "XDG_DATA_HOME=/data"}, "/data/dynotap"},
		{"relative XDG is ignored", "linux", []string{"HOME=/home/a", "XDG_DATA_HOME=data"}, "/home/a/.local/share/dynotap"},
		{"home", "linux", []string{"HOME=/home/a"}, "/home/a/.local/share/dynotap"},
		{"macOS", "darwin", []string{"HOME=/Users/a"}, "/Users/a/Library/Application Support/dynotap"},
		{"Windows", "windows", []string{`LocalAppData=/L`, `USERPROFILE=/U`}, "/L/dynotap"},
		{"Windows without LOCALAPPDATA", "windows", []string{`USERPROFILE=/U`}, "/U/AppData/Local/dynotap"},
		{"nothing known", "linux", nil, ""},
		{"nothing known on Windows", "windows", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := userDataDir(c.system, c.environ)
			if c.want == "" {
				if !errors.Is(err, errNoHome) {
					t.Errorf("got %q, %v", got, err)
				}
				return
			}
			if want := filepath.FromSlash(c.want); got != want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		})
	}
}

func TestDataDirOrder(t *testing.T) {
	t.Parallel()
	l := text(t, `{"queue": {"persist_path": "from/file"}}`, LoadOptions{})
	for flag, want := range map[string]string{"": "from/file", "from/flag": "from/flag"} {
		if got, err := l.DataDir(flag); got != want || err != nil {
			t.Errorf("flag %q: got %q, %v", flag, got, err)
		}
	}
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"127.0.0.1:8686": true, "127.9.9.9:1": true, "[::1]:1": true, "localhost:1": true, "[::ffff:127.0.0.1]:1": true,
		":8686": false, "0.0.0.0:1": false, "[::]:1": false, "192.168.1.1:1": false, "cell2:1": false, "localhost": false, "": false,
	} {
		if got := Loopback(address); got != want {
			t.Errorf("%q: got %v", address, got)
		}
	}
}
