package app

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"dynotap/config"
	"dynotap/doctor"
	"dynotap/source/innovate/serial"
)

// scanPorts listens to every serial port of this machine.
func scanPorts(ctx context.Context, cfg *config.Innovate) ([]serial.Found, error) {
	found, err := serial.NewFinder(serial.Settings{Baud: cfg.Baudrate}, nil).Scan(ctx)
	if errors.Is(err, serial.ErrNoPorts) {
		return []serial.Found{}, nil
	}
	return found, err
}

// examinedPorts is what the doctor hears of the serial ports.
func examinedPorts(cfg *config.Innovate) func(context.Context) ([]doctor.SerialPort, error) {
	return func(ctx context.Context) ([]doctor.SerialPort, error) {
		found, err := scanPorts(ctx, cfg)
		ports := make([]doctor.SerialPort, 0, len(found))
		for i := range found {
			ports = append(ports, examinedPort(&found[i]))
		}
		return ports, err
	}
}

func examinedPort(f *serial.Found) doctor.SerialPort {
	port := doctor.SerialPort{Name: f.Name, Product: f.Product, SerialNumber: f.Serial}
	if f.Speaks {
		port.Speaks = f.Device
	}
	hints := make([]string, 0, len(f.Hints))
	for _, h := range f.Hints {
		if f.Speaks {
			hints = append(hints, h.Text)
		}
	}
	port.Hint = strings.Join(hints, " ")
	switch {
	case f.Busy:
		port.Err = doctor.ErrPortBusy
	case f.Denied:
		port.Err = fs.ErrPermission
	case f.Error != "":
		port.Err = errors.New(f.Error)
	}
	return port
}
