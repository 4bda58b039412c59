package jetdrive_test

import (
	"errors"
	"testing"
	"time"

	"dynotap/source/jetdrive"
	"dynotap/source/jetdrive/provider"
)

func TestInterfacesSayWhatASettingChooses(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{"", "127.0.0.1", "nosuch0"} {
		list, err := jetdrive.Interfaces(setting)
		var unusable *jetdrive.InterfaceError
		if (setting == "nosuch0") != errors.As(err, &unusable) {
			t.Errorf("%q: %v", setting, err)
		}
		transmits := 0
		for _, i := range list {
			if i.Transmits {
				transmits++
			}
			usable := i.Problem == ""
			wanted := err == nil && usable && (setting == "" || i.Loopback)
			if i.Listens != wanted || i.Transmits && !i.Listens || usable && len(i.Addresses) == 0 {
				t.Errorf("%q: %+v", setting, i)
			}
		}
		if len(list) == 0 || (transmits == 1) != (err == nil) {
			t.Errorf("%q: transmits on %d of %+v", setting, transmits, list)
		}
	}
}

func TestHostsAreAllButOneself(t *testing.T) {
	t.Parallel()
	conn := place(t)
	ear, second := listen(t, conn), listen(t, conn)
	run(t, 3*time.Second, provider.Settings{Conn: conn}, ear)
	own, other := ear.source.Status().HostID, second.source.Status().HostID
	providers, seconds := 0, 0
	for _, h := range ear.source.Hosts() {
		switch {
		case h.HostID == own || h.Datagrams == 0 || !h.Address.Addr().IsLoopback():
			t.Errorf("%+v", h)
		case h.Provider:
			providers++
		case h.HostID == other:
			seconds++
		}
	}
	if providers != 1 || seconds != 1 {
		t.Errorf("own id %s, the other's %s, hosts %+v", own, other, ear.source.Hosts())
	}
}
