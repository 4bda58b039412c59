//go:build !darwin

package serial

import (
	goserial "go.bug.st/serial"
	"go.bug.st/serial/enumerator"

	"dynotap/source/innovate"
)

func systemPorts() ([]innovate.PortInfo, error) {
	details, err := enumerator.GetDetailedPortsList()
	if err != nil { // one adapter that is just being unplugged is enough
		return namesOnly()
	}
	var ports []innovate.PortInfo
	for _, d := range details {
		if d.Name == "" {
			continue // it went while the list was made
		}
		p := innovate.PortInfo{Name: d.Name}
		if d.IsUSB {
			p.Product, p.USB, p.Serial = d.Product, d.VID+":"+d.PID, d.SerialNumber
		}
		ports = append(ports, p)
	}
	return ports, nil
}

func namesOnly() ([]innovate.PortInfo, error) {
	names, err := goserial.GetPortsList()
	if err != nil {
		return nil, err
	}
	ports := make([]innovate.PortInfo, 0, len(names))
	for _, name := range names {
		ports = append(ports, innovate.PortInfo{Name: name})
	}
	return ports, nil
}
