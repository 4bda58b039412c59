package serial

import "dynotap/source/innovate"

func systemPorts() ([]innovate.PortInfo, error) { return CallOutPorts("/dev") }
