package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

func write(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "dynotap.json")
	if err := os.WriteFile(name, []byte(content), 0o640); err != nil {
		t.Fatal(err)
	}
	return name
}

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestK3NotesSurviveASave(t *testing.T) {
	t.Parallel()
	original := read(t, filepath.Join("testdata", "good", "notes-everywhere.json"))
	name := write(t, original)
	l, err := Load(LoadOptions{Path: name, Environ: []string{"JETDRIVE_PORT=7"}, Overrides: map[string]string{"log_level": "ERROR"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{{"queue.max_size", "8"}, {"channels.W.B. 1", "afr_rear"}} {
		if err := l.Set(change[0], change[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Save(name); err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer(`"max_size": 7`, `"max_size": 8`, `"afr_front"`, `"afr_rear"`).Replace(original)
	if got := read(t, name); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if l.Config.Queue.MaxSize != 8 || l.Config.Jetdrive.Port != 7 || l.Config.LogLevel != "ERROR" {
		t.Errorf("after the save: %+v", l.Config.Queue)
	}
	if info, err := os.Stat(name); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(name), ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestK3SetAddsWhatIsNotThere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, before, setting, value, after string }{
		{"empty", "{}\n", "display.units", "metric", `{"display": {"units": "metric"}}` + "\n"},
		{"empty with space", "{\n}", "log_level", "debug", `{"log_level": "debug"}`},
		{
			"indented", "{\n    \"queue\": {\n        \"max_size\": 1\n    }\n}\n", "queue.batch_size", "2",
			"{\n    \"queue\": {\n        \"max_size\": 1,\n        \"batch_size\": 2\n    }\n}\n",
		},
		{
			"new section, CRLF, blank lines", "{\r\n  \"log_level\": \"INFO\",\r\n\r\n  \"channels\": {}\r\n}\r\n", "data_sources.csv.retry.jitter", "false",
			"{\r\n  \"log_level\": \"INFO\",\r\n\r\n  \"channels\": {},\r\n  \"data_sources\": {\"csv\": {\"retry\": {\"jitter\": false}}}\r\n}\r\n",
		},
		{"one line", `{"jetdrive": {"port": 1}}`, "jetdrive.channel_filter", `a, "b`, `{"jetdrive": {"port": 1, "channel_filter": ["a", "\"b"]}}`},
		{"null", `{"innovate": {"port": "COM5"}}`, "innovate.port", "", `{"innovate": {"port": null}}`},
		{"a table", `{"channels": {"a": "rpm"}}`, "channels", `{"a": "afr", "_n": 1, "b <&>": "tps"}`, `{"channels": {"a": "afr", "b <&>": "tps"}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			name := write(t, c.before)
			l, err := Load(LoadOptions{Path: name})
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Set(c.setting, c.value); err != nil {
				t.Fatal(err)
			}
			if err := l.Save(name); err != nil {
				t.Fatal(err)
			}
			if got := read(t, name); got != c.after {
				t.Errorf("got  %q\nwant %q", got, c.after)
			}
		})
	}
}

func TestK3SetRefusesWhatTheFileWouldNotHold(t *testing.T) {
	t.Parallel()
	l := text(t, `{"default_retry": {"initial_delay_sec": 3}}`, LoadOptions{})
	for _, c := range []struct{ setting, value, want string }{
		{"queue.max_sise", "3", `no setting "queue.max_sise": did you mean "queue.max_size"?`},
		{"queue.max_size", "0", "queue.max_size must be a whole number from 1 to 100000000, not 0"},
		{"channels", "[", "channels: the file ends where there should be a value"},
		{"default_retry.max_delay_sec", "2", "test.json:1:61: default_retry.max_delay_sec must be at least initial_delay_sec (3), not 2"},
		{"queue", "{}", `no setting "queue": the nearest known one is "preset"`},
	} {
		err := l.Set(c.setting, c.value)
		var broken *InvalidError
		if !errors.As(err, &broken) || err.Error() != c.want {
			t.Errorf("%s=%s: got %v, want %s", c.setting, c.value, err, c.want)
		}
	}
	if !reflect.DeepEqual(l.Config, text(t, `{"default_retry": {"initial_delay_sec": 3}}`, LoadOptions{}).Config) {
		t.Errorf("a refused change changed something: %+v", l.Config)
	}
}

func TestK3SaveWithoutAFileKeepsThePreset(t *testing.T) {
	t.Parallel()
	l, err := Load(LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Set("display.units", "metric"); err != nil {
		t.Fatal(err)
	}
	if got := l.Origin("display.units"); got != "unsaved" {
		t.Errorf("origin %q", got)
	}
	name := filepath.Join(t.TempDir(), "new.json")
	if err := l.Save(name); err != nil {
		t.Fatal(err)
	}
	again, err := Load(LoadOptions{Path: name})
	if err != nil {
		t.Fatal(err)
	}
	if !again.Config.Queue.PersistToDisk || again.Config.Display.Units != "metric" || again.Config.Preset != PresetLiveCapture {
		t.Errorf("got %s", read(t, name))
	}
	if got, want := l.Origin("display.units"), name+":3"; got != want {
		t.Errorf("origin %q, want %q", got, want)
	}
	if info, err := os.Stat(name); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("a file that may hold a token has mode %v, %v", info.Mode(), err)
	}
}

func TestK3SaveDoesNotUndoSomebodyElse(t *testing.T) {
	t.Parallel()
	name := write(t, "{}")
	l, err := Load(LoadOptions{Path: name})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Set("log_level", "ERROR"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(`{"log_level": "DEBUG"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.Save(name); !errors.Is(err, ErrChanged) {
		t.Errorf("got %v, want ErrChanged", err)
	}
	if err := l.Save(filepath.Join(t.TempDir(), "no", "such", "dir.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want ErrNotExist", err)
	}
}

func TestK3SaveWritesThroughALink(t *testing.T) {
	t.Parallel()
	name := write(t, "{}")
	link := filepath.Join(t.TempDir(), "link.json")
	if err := os.Symlink(name, link); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	l, err := Load(LoadOptions{Path: link})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Set("log_level", "ERROR"); err != nil {
		t.Fatal(err)
	}
	if err := l.Save(link); err != nil {
		t.Fatal(err)
	}
	if got := read(t, name); got != `{"log_level": "ERROR"}` {
		t.Errorf("got %s", got)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", info.Mode(), err)
	}
}

func TestK5InitIsThePreset(t *testing.T) {
	t.Parallel()
	for _, preset := range Presets() {
		t.Run(preset, func(t *testing.T) {
			t.Parallel()
			name := filepath.Join(t.TempDir(), "dynotap.json")
			if err := Init(name, preset); err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", "init-"+preset+".golden"), read(t, name))
			l, err := Load(LoadOptions{Path: name})
			if err != nil {
				t.Fatal(err)
			}
			want, err := Preset(preset)
			if err != nil {
				t.Fatal(err)
			}
			// An empty list and none are the same.
			for _, list := range []*[]string{&l.Config.CriticalChannels, &l.Config.Jetdrive.ChannelFilter, &l.Config.Jetdrive.ProviderFilter} {
				if len(*list) == 0 {
					*list = nil
				}
			}
			if !reflect.DeepEqual(l.Config, want) {
				t.Errorf("got %+v\nwant %+v", l.Config, want)
			}
			before := read(t, name)
			if err := Init(name, preset); !errors.Is(err, fs.ErrExist) || read(t, name) != before {
				t.Errorf("a second Init: %v", err)
			}
		})
	}
	if err := Init(filepath.Join(t.TempDir(), "x.json"), "fast"); err == nil {
		t.Error("an unknown preset was taken")
	}
}
