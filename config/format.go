package config

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// formatProblem says what a text of the given format must be, or nothing if
// it is that. Every text but a path must hold something; none may hold
// control characters.
func formatProblem(format, text string) string {
	if strings.ContainsFunc(text, unicode.IsControl) {
		return "must be text without control characters"
	}
	if text == "" && format != "path" && format != "token" {
		return "must not be empty"
	}
	switch format {
	case "multicast group":
		if a, err := netip.ParseAddr(text); err != nil || !a.Is4() || !a.IsMulticast() {
			return "must be an IPv4 multicast group (224.0.0.0 to 239.255.255.255)"
		}
	case "interface":
		return interfaceProblem(text)
	case "listen address":
		if _, ok := listenHost(text); !ok {
			return "must be an address and a port such as 127.0.0.1:8686"
		}
	case "time zone":
		if _, err := time.LoadLocation(text); err != nil {
			return "must be a time zone such as Europe/Vienna, UTC or Local"
		}
	case "token":
		if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return "must be letters, digits and signs of ASCII without spaces"
		}
	}
	return ""
}

// interfaceProblem takes an IPv4 address or a name. Whether the machine has
// such an interface is seen when it is used.
func interfaceProblem(text string) string {
	const wanted = "must be an interface's name or IPv4 address, or 0.0.0.0"
	if strings.TrimSpace(text) != text {
		return wanted + " without spaces around it"
	}
	a, err := netip.ParseAddr(text)
	if err == nil && (!a.Is4() || a.IsMulticast()) {
		return wanted
	}
	if err != nil && strings.Trim(text, "0123456789.") == "" {
		return wanted
	}
	return ""
}

// listenHost splits a listen address; the host may be empty for "all".
func listenHost(text string) (host string, ok bool) {
	host, port, err := net.SplitHostPort(text)
	if err != nil || strings.ContainsFunc(host, unicode.IsSpace) {
		return "", false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || port != strconv.FormatUint(n, 10) {
		return "", false
	}
	return host, true
}

// Loopback reports whether a listen address (host:port) can be reached from
// this machine only. An address that does not parse is not.
func Loopback(listen string) bool {
	host, ok := listenHost(listen)
	if !ok {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
