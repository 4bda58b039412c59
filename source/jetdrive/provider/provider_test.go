package provider

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dynotap/sample"
	"dynotap/source/jetdrive/klhdv"
)

func keys(messages []message) []klhdv.Key {
	var out []klhdv.Key
	for _, m := range messages {
		out = append(out, m.Key)
	}
	return out
}

func TestClaimComesFirstThenTheList(t *testing.T) {
	simulate(t, Settings{Name: "Dyno", Channels: channels(60)}, func(t scene) {
		got := t.b.take()
		want := []klhdv.Key{klhdv.KeyPing, klhdv.KeyClearChannelInfo, klhdv.KeyChannelInfo, klhdv.KeyChannelInfo}
		if !slices.Equal(keys(got), want) {
			t.Fatalf("sent %v, want %v", keys(got), want)
		}
		if got[0].Host != klhdv.Unclaimed || t.p.HostID() == 0 {
			t.Errorf("claim from 0x%04X, id 0x%04X", got[0].Host, t.p.HostID())
		}
		seen := map[uint16]bool{}
		for i, m := range got[1:] {
			if m.Host != t.p.HostID() || m.Dest != klhdv.AllHosts || m.Seq != got[0].Seq+uint8(i)+1 {
				t.Errorf("message %d: %+v", i, m.Header)
			}
			if m.Key != klhdv.KeyChannelInfo {
				continue
			}
			if size := 28 + klhdv.HeaderLen + len(m.Value); size > DefaultMTU {
				t.Errorf("message of %d bytes", size)
			}
			info, _, err := klhdv.DecodeChannelInfo(m.Value)
			if err != nil || info.Provider != "Dyno" {
				t.Errorf("%+v, %v", info, err)
			}
			for _, c := range info.Channels {
				seen[c.ID] = c.Name == "Channel" && c.Unit == 8
			}
		}
		if len(seen) != 60 || !seen[1] || !seen[60] {
			t.Errorf("%d channels", len(seen))
		}
	})
}

func TestProviderWithoutChannelsSendsItsNameAlone(t *testing.T) {
	simulate(t, Settings{Name: "Empty", Rate: 20}, func(t scene) {
		infos := of(t.b.take(), klhdv.KeyChannelInfo)
		if len(infos) != 1 || len(infos[0].Value) != 50 {
			t.Errorf("%+v", infos)
		}
	})
}

func TestStreamHasItsRateAndItsTimes(t *testing.T) {
	simulate(t, Settings{Channels: channels(200), Rate: 50, Values: seconds}, func(t scene) {
		t.b.take()
		time.Sleep(10 * time.Second)
		messages := of(t.b.take(), klhdv.KeyChannelValues)
		if len(messages) != 2*500 { // 146 and 54 values
			t.Errorf("%d messages", len(messages))
		}
		got := values(messages)
		if len(got) != 200*500 {
			t.Fatalf("%d values", len(got))
		}
		for i, v := range got {
			if want := float32(v.Stamp)/1000 + float32(i%200); v.Channel != uint16(i%200+1) || math.Abs(float64(v.Value-want)) > 1e-4 {
				t.Fatalf("value %d: %+v, want %g", i, v, want)
			}
			if i >= 200 && v.Stamp-got[i-200].Stamp != 20 {
				t.Fatalf("%d ms after %d", v.Stamp, got[i-200].Stamp)
			}
		}
		if c := t.p.Counts(); c.Values < 200*500 || c.Skipped != 0 || c.Lost+c.Reordered+c.Duplicated+c.ValuesLost+c.SendErrors != 0 {
			t.Errorf("counts %+v", c)
		}
	})
}

func TestListIsRepeatedEvery30Seconds(t *testing.T) {
	simulate(t, Settings{Channels: channels(1)}, func(t scene) {
		t.b.take()
		time.Sleep(90 * time.Second)
		if got := keys(t.b.take()); !slices.Equal(got, slices.Repeat([]klhdv.Key{klhdv.KeyChannelInfo}, 3)) {
			t.Errorf("sent %v", got)
		}
	})
}

func TestFarewellClearsTheList(t *testing.T) {
	var b *bus
	t.Run("life", func(t *testing.T) {
		simulate(t, Settings{Channels: channels(1), Rate: 10, Values: seconds}, func(t scene) {
			b = t.b
			time.Sleep(time.Second)
		})
	})
	t.Cleanup(func() {
		last := b.heard[len(b.heard)-1]
		if last.Key != klhdv.KeyClearChannelInfo || last.Dest != klhdv.AllHosts {
			t.Errorf("the last message is %+v", last.Header)
		}
	})
}

func TestPingsAreAnswered(t *testing.T) {
	simulate(t, Settings{Channels: channels(1), Faults: Faults{ClockOffset: 5 * time.Second}}, func(t scene) {
		t.b.take()
		ping := append(klhdv.EncodePing(nil, 77), "echo"...)
		for _, from := range []uint16{9, klhdv.Unclaimed} {
			for _, dest := range []uint16{t.p.HostID(), klhdv.AllHosts} {
				t.b.sayAs(from, klhdv.KeyPing, dest, ping)
				got := of(t.b.take(), klhdv.KeyPong)
				if len(got) != 1 || got[0].Dest != from {
					t.Fatalf("from 0x%04X to 0x%04X: answers %+v", from, dest, got)
				}
				pong, err := klhdv.DecodePong(got[0].Value)
				if err != nil || pong.HostTS != 77 || pong.RemoteTS != 6100 || string(pong.Echo) != "echo" {
					t.Errorf("pong %+v, %v", pong, err)
				}
			}
		}
		t.b.say(klhdv.KeyPing, t.p.HostID()^1, ping)
		t.b.say(klhdv.KeyPing, t.p.HostID(), []byte{1})
		if got := of(t.b.take(), klhdv.KeyPong); len(got) != 0 {
			t.Errorf("answered what was not for it: %+v", got)
		}
	})
}

func TestHostOfANewerVersionIsIgnoredAlone(t *testing.T) {
	simulate(t, Settings{Channels: channels(1)}, func(t scene) {
		t.b.say(klhdv.KeyPing, t.p.HostID(), []byte{10, 0, 0, 0, 0})
		t.b.take()
		t.b.say(klhdv.KeyPing, t.p.HostID(), klhdv.EncodePing(nil, 1))
		t.b.say(klhdv.KeyRequestChannelInfo, t.p.HostID(), nil)
		if got := t.b.take(); len(got) != 2 {
			t.Errorf("answered: %v", keys(got))
		}
		t.b.sayAs(10, klhdv.KeyRequestChannelInfo, t.p.HostID(), nil)
		if got := t.b.take(); len(got) != 2 || got[1].Dest != 10 {
			t.Errorf("another host: %v", keys(got))
		}
	})
}

func TestListIsSentToWhoAsks(t *testing.T) {
	simulate(t, Settings{Channels: channels(60)}, func(t scene) {
		t.b.take()
		t.b.say(klhdv.KeyRequestChannelInfo, klhdv.AllHosts, nil)
		if got := of(t.b.take(), klhdv.KeyChannelInfo); len(got) != 2 || got[0].Dest != 9 || got[1].Dest != 9 {
			t.Errorf("%+v", got)
		}
		t.b.say(klhdv.KeyRequestChannelInfo, t.p.HostID()^1, nil)
		if got := of(t.b.take(), klhdv.KeyChannelInfo); len(got) != 0 {
			t.Errorf("answered for another: %+v", got)
		}
	})
}

func TestLoggingIsAnsweredAndAnnounced(t *testing.T) {
	simulate(t, Settings{Channels: channels(1)}, func(t scene) {
		ask := func(c klhdv.LoggingCommand) {
			t.b.say(klhdv.KeyRequestLogging, t.p.HostID(), klhdv.EncodeLoggingRequest(nil, klhdv.LoggingRequest{Command: c}))
		}
		expect := func(what string, dest uint16, want klhdv.LoggingResponse) {
			t.Helper()
			got := of(t.b.take(), klhdv.KeyLoggingResponse)
			if len(got) != 1 || got[0].Dest != dest || len(got[0].Value) != 7 {
				t.Fatalf("%s: %+v", what, got)
			}
			if r, err := klhdv.DecodeLoggingResponse(got[0].Value); err != nil || r != want {
				t.Errorf("%s: %+v, %v", what, r, err)
			}
		}
		const all = klhdv.AllHosts
		ask(klhdv.LoggingQuery)
		expect("query", 9, klhdv.LoggingResponse{})
		ask(klhdv.LoggingBegin)
		expect("begin", all, klhdv.LoggingResponse{State: 1, Start: 1100})
		time.Sleep(time.Second)
		ask(klhdv.LoggingBegin)
		expect("begin again", 9, klhdv.LoggingResponse{State: 1, Start: 1100})
		ask(klhdv.LoggingEnd)
		expect("end", all, klhdv.LoggingResponse{State: 0, Start: 1100})
		t.p.SetLogging(true)
		expect("set", all, klhdv.LoggingResponse{State: 1, Start: 2100})
		ask(klhdv.LoggingCancel)
		expect("cancel", all, klhdv.LoggingResponse{State: 0, Start: 2100})
		t.p.SetLogging(false)
		t.b.say(klhdv.KeyRequestLogging, t.p.HostID(), nil)
		if got := of(t.b.take(), klhdv.KeyLoggingResponse); len(got) != 0 {
			t.Errorf("nothing changed, yet %+v", got)
		}
	})
}

// Promise 5 of DESIGN.
func TestLoadControlAndBrakeAreNotEquipped(t *testing.T) {
	simulate(t, Settings{Channels: channels(1)}, func(t scene) {
		t.b.take()
		t.b.say(klhdv.KeyRequestLoadControl, t.p.HostID(), klhdv.EncodeLoadControl(nil, klhdv.LoadControl{Enable: 1, Target: 3500}))
		t.b.say(klhdv.KeyRequestBrake, t.p.HostID(), klhdv.EncodeBrake(nil, klhdv.Brake{State: 1}))
		t.b.say(klhdv.KeyRequestBrake, t.p.HostID(), nil)
		t.b.say(klhdv.KeyRequestLoadControl, t.p.HostID(), []byte{1})
		var ours []message
		for _, m := range t.b.take() {
			if m.Host == t.p.HostID() {
				ours = append(ours, m)
			}
		}
		if !slices.Equal(keys(ours), []klhdv.Key{klhdv.KeyLoadControlResponse, klhdv.KeyBrakeResponse}) {
			t.Fatalf("answers %v", keys(ours))
		}
		if !bytes.Equal(ours[0].Value, []byte{2, 0, 0, 0, 0, 0}) || !bytes.Equal(ours[1].Value, []byte{2}) || ours[0].Dest != 9 {
			t.Errorf("answers %+v", ours)
		}
	})
}

func TestChangedListIsClearedFirst(t *testing.T) {
	simulate(t, Settings{Channels: channels(3), Rate: 1000, Values: seconds}, func(t scene) {
		time.Sleep(100 * time.Millisecond)
		if err := t.p.SetChannels([]ChannelSpec{{ID: 7, Name: "New", Unit: sample.Kilowatt}}, seconds); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		messages := t.b.take()
		cleared := slices.IndexFunc(messages[2:], func(m message) bool { return m.Key == klhdv.KeyClearChannelInfo }) + 2
		if messages[cleared+1].Key != klhdv.KeyChannelInfo {
			t.Errorf("after the clear comes %s", messages[cleared+1].Key)
		}
		for _, v := range values(messages[:cleared]) {
			if v.Channel > 3 {
				t.Fatalf("a new channel before the clear: %+v", v)
			}
		}
		after := values(messages[cleared:])
		if len(after) < 90 || slices.ContainsFunc(after, func(v klhdv.Value) bool { return v.Channel != 7 }) {
			t.Errorf("%d values after the clear", len(after))
		}
		if err := t.p.SetChannels([]ChannelSpec{{Unit: sample.Horsepower}}, seconds); err == nil {
			t.Error("hp was accepted")
		}
		if err := t.p.SetChannels(channels(1), nil); err == nil {
			t.Error("channels without values were accepted")
		}
	})
}

func TestTakenHostIDIsGivenUp(t *testing.T) {
	simulate(t, Settings{HostID: 0x4242, Channels: channels(2), Rate: 20, Values: seconds}, func(t scene) {
		if t.p.HostID() != 0x4242 {
			t.Fatalf("id 0x%04X", t.p.HostID())
		}
		t.b.take()
		t.b.sayAs(0x4242, klhdv.KeyChannelInfo, klhdv.AllHosts, make([]byte, 50))
		time.Sleep(2 * time.Second)
		id := t.p.HostID()
		messages := t.b.take()
		var fresh []message
		for _, m := range messages {
			if m.Host == id {
				fresh = append(fresh, m)
			}
		}
		if id == 0 || id == 0x4242 || len(fresh) < 10 {
			t.Fatalf("id 0x%04X sent %v", id, keys(fresh))
		}
		if want := []klhdv.Key{klhdv.KeyClearChannelInfo, klhdv.KeyChannelInfo, klhdv.KeyChannelValues}; !slices.Equal(keys(fresh[:3]), want) {
			t.Errorf("began with %v", keys(fresh[:3]))
		}
	})
}

func TestRestartIsAPowerCut(t *testing.T) {
	s := Settings{HostID: 0x4242, Channels: channels(1), Rate: 20, Values: seconds, Faults: Faults{RestartEvery: 5 * time.Second}}
	simulate(t, s, func(t scene) {
		t.p.SetLogging(true)
		t.b.take()
		time.Sleep(6 * time.Second)
		synctest.Wait()
		messages := t.b.take()
		if id := t.p.HostID(); id == 0x4242 || id == 0 {
			t.Errorf("id 0x%04X after the restart", id)
		}
		clears := of(messages, klhdv.KeyClearChannelInfo)
		if len(clears) != 1 || clears[0].Host != t.p.HostID() {
			t.Errorf("clears %+v", clears)
		}
		stamps := values(messages)
		back := slices.IndexFunc(stamps, func(v klhdv.Value) bool { return v.Stamp < stamps[0].Stamp })
		if back < 0 || stamps[back].Stamp > 1100 || stamps[back-1].Stamp < 4900 {
			t.Errorf("the clock did not restart: %v", stamps)
		}
		if c := t.p.Counts(); c.Restarts != 1 {
			t.Errorf("counts %+v", c)
		}
		t.b.say(klhdv.KeyRequestLogging, t.p.HostID(), []byte{byte(klhdv.LoggingQuery)})
		if log := of(t.b.take(), klhdv.KeyLoggingResponse); len(log) != 1 || log[0].Value[0] != klhdv.LoggingStopped {
			t.Errorf("the log survived the power cut: %+v", log)
		}
	})
}

func TestStreamThatWasHeldUpLeavesSetsOut(t *testing.T) {
	held := false
	slow := func(at time.Duration, _ []float32) {
		if at > 2*time.Second && !held {
			held = true
			time.Sleep(time.Second) // synthetic time
		}
	}
	simulate(t, Settings{Channels: channels(1), Rate: 100, Values: slow}, func(t scene) {
		time.Sleep(5 * time.Second)
		c := t.p.Counts()
		if c.Skipped < 85 || c.Skipped > 90 {
			t.Errorf("%d sets left out", c.Skipped)
		}
		if total := c.Values + c.Skipped; total < 509 || total > 511 {
			t.Errorf("%d sets sent or left out", total)
		}
	})
}

func TestNothingIsSentBeforeTheGreeting(t *testing.T) {
	simulate(t, Settings{Channels: channels(1), Rate: 100, Values: seconds}, func(t scene) {
		t.p.mu.Lock()
		t.p.life.greeted ^= 1 // as if the id were claimed this moment
		t.p.mu.Unlock()
		t.b.take()
		t.p.SetLogging(true)
		time.Sleep(time.Second)
		if got := t.b.take(); len(got) != 0 {
			t.Errorf("sent %v", keys(got))
		}
	})
}

func TestClockWraps(t *testing.T) {
	s := Settings{Channels: channels(1), Rate: 100, Values: seconds, Faults: Faults{WrapAfter: 2 * time.Second}}
	simulate(t, s, func(t scene) {
		time.Sleep(2 * time.Second)
		got := values(t.b.take())
		if got[0].Stamp < math.MaxUint32-1000 || got[len(got)-1].Stamp > 1200 {
			t.Errorf("from %d to %d", got[0].Stamp, got[len(got)-1].Stamp)
		}
		for i := range got[1:] {
			if got[i+1].Stamp-got[i].Stamp != 10 {
				t.Fatalf("%d after %d", got[i+1].Stamp, got[i].Stamp)
			}
		}
	})
}

func TestSettingsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		settings Settings
		want     string
	}{
		"unit that JETDRIVE lacks": {Settings{Channels: []ChannelSpec{{Unit: sample.Horsepower}}}, "no unit"},
		"id used twice":            {Settings{Channels: []ChannelSpec{{ID: 1}, {ID: 1}}}, "used twice"},
		"ALL_HOSTS":                {Settings{HostID: klhdv.AllHosts}, "0xFFFF"},
		"negative rate":            {Settings{Rate: -1}, "rate"},
		"no rate at all":           {Settings{Rate: math.NaN()}, "rate"},
		"rate beyond the clock":    {Settings{Rate: 1e6}, "rate"},
		"no values":                {Settings{Rate: 1, Channels: channels(1)}, "without values"},
		"loss of two":              {Settings{Faults: Faults{Loss: 2}}, "shares"},
		"more than the whole":      {Settings{Faults: Faults{Loss: 0.5, Reorder: 0.4, Duplicate: 0.2}}, "shares"},
		"negative duplicates":      {Settings{Faults: Faults{Duplicate: -0.1}}, "shares"},
		"wrap after 50 days":       {Settings{Faults: Faults{WrapAfter: 1200 * time.Hour}}, "impossible"},
		"restart before the start": {Settings{Faults: Faults{RestartEvery: -1}}, "impossible"},
	} {
		if _, err := New(tc.settings); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
