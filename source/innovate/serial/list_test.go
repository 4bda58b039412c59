package serial

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"dynotap/source/innovate"
)

func TestPortsOfMacOSByName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{
		"cu.usbserial-A50285BI", "tty.usbserial-A50285BI", "cu.Bluetooth-Incoming-Port", "cu.debug-console", "cu.wlan-debug",
		"cu.SLAB_USBtoUART", "cu.wchusbserial14210", "cu.usbmodem1101", "cu.Serial", "null",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := CallOutPorts(dir)
	want := []innovate.PortInfo{
		{Name: dir + "/cu.SLAB_USBtoUART", USB: "10C4:", Product: "CP210x"},
		{Name: dir + "/cu.Serial"},
		{Name: dir + "/cu.usbmodem1101", Product: "USB modem", Serial: "1101"},
		{Name: dir + "/cu.usbserial-A50285BI", USB: "0403:", Product: "USB serial adapter", Serial: "A50285BI"},
		{Name: dir + "/cu.wchusbserial14210", USB: "1A86:", Product: "CH340", Serial: "14210"},
	}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
	if _, err := CallOutPorts(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("a folder that is not there")
	}
}

func TestAdaptersComeFirst(t *testing.T) {
	t.Parallel()
	for want, p := range []innovate.PortInfo{{USB: "0403:6001"}, {USB: "2341:0043"}, {}} {
		if got := rank(p); got != want {
			t.Errorf("%+v: %d", p, got)
		}
	}
	for _, usb := range []string{"1a86:7523", "10C4:EA60", "067B:2303"} {
		if rank(innovate.PortInfo{USB: usb}) != 0 {
			t.Error(usb)
		}
	}
	if _, err := Ports(); err != nil {
		t.Error(err)
	}
}
