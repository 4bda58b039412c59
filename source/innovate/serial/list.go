package serial

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"

	"dynotap/source/innovate"
)

// Ports lists the serial ports of this machine, those of USB adapters as they
// are used with Innovate devices first.
func Ports() ([]innovate.PortInfo, error) {
	ports, err := systemPorts()
	if err != nil {
		return nil, fmt.Errorf("list serial ports: %w", err)
	}
	slices.SortStableFunc(ports, func(a, b innovate.PortInfo) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(len(a.Name), len(b.Name)), cmp.Compare(a.Name, b.Name))
	})
	return ports, nil
}

// rank is 0 for FTDI, CH340, CP210x and Prolific adapters, 1 for other USB
// ports and 2 for the rest.
func rank(p innovate.PortInfo) int {
	vendor, _, _ := strings.Cut(p.USB, ":")
	switch {
	case slices.Contains([]string{"0403", "1A86", "10C4", "067B"}, strings.ToUpper(vendor)):
		return 0
	case p.USB != "":
		return 1
	}
	return 2
}

// CallOutPorts lists the serial ports in a device folder by the names that
// macOS gives them: /dev/cu.usbserial-A50285BI is that of the FTDI adapter with
// serial number A50285BI. Asking the system for more needs a C compiler.
func CallOutPorts(folder string) ([]innovate.PortInfo, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var ports []innovate.PortInfo
	for _, e := range entries {
		name, isPort := strings.CutPrefix(e.Name(), "cu.")
		if !isPort || strings.Contains(name, "Bluetooth") || strings.Contains(name, "debug") || strings.Contains(name, "wlan") {
			continue
		}
		p := innovate.PortInfo{Name: folder + "/" + e.Name()}
		for _, kind := range [...]struct{ prefix, usb, product string }{
			{"usbserial-", "0403:", "USB serial adapter"},
			{"wchusbserial", "1A86:", "CH340"},
			{"SLAB_USBtoUART", "10C4:", "CP210x"},
			{"PL2303", "067B:", "PL2303"},
			{"usbmodem", "", "USB modem"},
		} {
			if rest, ok := strings.CutPrefix(name, kind.prefix); ok {
				p.USB, p.Product, p.Serial = kind.usb, kind.product, strings.TrimPrefix(rest, "-")
			}
		}
		ports = append(ports, p)
	}
	return ports, nil
}

// Exists reports whether a port of that name is there; on Windows, where ports
// are no files, it never does.
func Exists(name string) bool {
	if !strings.HasPrefix(name, "/") {
		return false
	}
	_, err := os.Stat(name)
	return err == nil
}
