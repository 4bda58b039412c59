package doctor

import (
	"fmt"

	"dynotap/source/jetdrive"
)

// findDrops says whether this machine has room for what arrives, and whether
// it lost any of it.
func (s *scene) findDrops() []Finding {
	want := s.settings.Conn.ReceiveBuffer
	if want <= 0 {
		want = jetdrive.DefaultReceiveBuffer
	}
	granted := s.main.status.Buffer
	room := Finding{
		Check: checkBuffer, Severity: OK, Found: fmt.Sprintf("the system grants a receive buffer of %d KiB", granted>>10),
		Details: map[string]any{"granted_bytes": granted, "wanted_bytes": want},
	}
	if granted < want {
		room.Severity = Warning
		room.Found = fmt.Sprintf("the system grants a receive buffer of %d KiB, %d KiB are wanted: bursts may be lost", granted>>10, want>>10)
		room.Mend = bufferMend(s.machine.system, want)
	}
	socket := s.main.status.Socket
	drops := Finding{
		Check: checkDrops, Severity: OK, Found: "nothing that arrived was dropped",
		Details: map[string]any{"kernel_drops": socket.KernelDrops, "ring_full": socket.RingFull, "truncated": socket.Truncated},
	}
	if s.machine.system != linux {
		drops.Found = "what the system itself drops is not told by this system"
		delete(drops.Details, "kernel_drops")
	}
	switch {
	case socket.KernelDrops > 0:
		drops.Severity = Warning
		drops.Found = fmt.Sprintf("the system dropped %s while dynotap listened: its receive buffer was full", count(int(socket.KernelDrops), "packet"))
		drops.Mend = bufferMend(s.machine.system, jetdrive.DefaultReceiveBuffer) + " Close programs that keep the processor busy."
	case socket.RingFull > 0:
		drops.Severity = Warning
		drops.Found = fmt.Sprintf("dynotap was too slow for %s: this machine is busy", count(int(socket.RingFull), "packet"))
		drops.Mend = "Close programs that keep the processor busy; on a laptop plug in the mains and choose the power plan for performance."
	}
	return []Finding{room, drops}
}

// bufferMend says how to get a receive buffer of so many bytes.
func bufferMend(system string, want int) string {
	switch system {
	case linux:
		return fmt.Sprintf("sudo sysctl -w net.core.rmem_max=%d; to keep it: echo net.core.rmem_max=%d | sudo tee /etc/sysctl.d/90-dynotap.conf", want, want)
	case windows:
		return "Close programs that use much memory: Windows grants the buffer when there is room."
	}
	return fmt.Sprintf("sudo sysctl -w kern.ipc.maxsockbuf=%d", 2*want)
}
