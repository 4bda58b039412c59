package doctor

import (
	"bytes"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

// findFirewall says which firewall may keep the packets out when none came.
func (s *scene) findFirewall() []Finding {
	f := Finding{Check: checkFirewall, Severity: OK, Found: "packets come in"}
	if !s.arrived() {
		f.Severity, f.Found, f.Mend, f.Details = firewall(s.machine.system, s.machine.files, s.settings.Conn.Port)
	}
	return []Finding{f}
}

// firewall is what to say where nothing comes in.
func firewall(system string, root fs.FS, port uint16) (severity Severity, found, mend string, details map[string]any) {
	switch system {
	case windows:
		return Info, "whether Windows Defender Firewall lets JETDRIVE in is not known here; on a network of the profile Public it usually does not",
			fmt.Sprintf("Settings > Network & internet > Ethernet: make the dyno's network a private one (PowerShell: Get-NetConnectionProfile shows it). "+
				"Then Windows Defender Firewall > Allow an app: tick dynotap, or as administrator: "+
				`netsh advfirewall firewall add rule name="dynotap JETDRIVE" dir=in action=allow protocol=UDP localport=%d`, port), nil
	case linux:
		return linuxFirewall(root, port)
	}
	return Info, "whether the firewall lets JETDRIVE in is not known here",
		"System Settings > Network > Firewall > Options: allow incoming connections for dynotap.", nil
}

func linuxFirewall(root fs.FS, port uint16) (severity Severity, found, mend string, details map[string]any) {
	for _, wall := range []struct {
		name, mend string
		active     bool
	}{
		{"ufw", fmt.Sprintf("sudo ufw allow in proto udp to any port %d", port), ufwBlocks(root, port)},
		{"firewalld", fmt.Sprintf("sudo firewall-cmd --permanent --add-port=%d/udp && sudo firewall-cmd --reload", port), firewalldRuns(root)},
		{"nftables", fmt.Sprintf("sudo nft list ruleset shows the rules; sudo nft add rule inet filter input udp dport %d accept adds one", port), nftablesFilters(root)},
	} {
		if wall.active {
			return Warning, fmt.Sprintf("nothing came in, and the firewall %s is active without a rule for UDP port %d that could be seen", wall.name, port),
				"Let JETDRIVE in: " + wall.mend, map[string]any{"firewall": wall.name}
		}
	}
	return Info, "nothing came in; no active firewall was found (ufw, firewalld, nftables), but rules of another kind cannot be seen",
		fmt.Sprintf("sudo nft list ruleset, or sudo iptables -S INPUT, shows all rules; UDP port %d must be accepted.", port), nil
}

// ufwBlocks reports whether ufw is switched on and, as far as its rules may be
// read, has none that lets the port in.
func ufwBlocks(root fs.FS, port uint16) bool {
	settings, err := fs.ReadFile(root, "etc/ufw/ufw.conf")
	if err != nil || !regexp.MustCompile(`(?mi)^\s*ENABLED\s*=\s*"?yes`).Match(settings) {
		return false
	}
	rules, err := fs.ReadFile(root, "etc/ufw/user.rules")
	allowed := regexp.MustCompile(fmt.Sprintf(`(?m)^### tuple ### allow (udp|any) %d `, port))
	return err != nil || !allowed.Match(rules)
}

// firewalldRuns looks for its process; firewalld keeps its state to itself.
func firewalldRuns(root fs.FS) bool {
	names, _ := fs.Glob(root, "proc/[0-9]*/comm")
	for _, name := range names {
		if text, err := fs.ReadFile(root, name); err == nil && string(bytes.TrimSpace(text)) == "firewalld" {
			return true
		}
	}
	return false
}

// nftablesFilters reports whether a rule set that filters what comes in is
// loaded at start.
func nftablesFilters(root fs.FS) bool {
	enabled, _ := fs.Glob(root, "etc/systemd/system/*.wants/nftables.service")
	if len(enabled) == 0 {
		return false
	}
	rules, err := fs.ReadFile(root, "etc/nftables.conf")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(rules)) {
		code, _, _ := strings.Cut(line, "#")
		if strings.Contains(code, "hook input") && !strings.Contains(code, "policy accept") || strings.Contains(code, "drop") || strings.Contains(code, "reject") {
			return true
		}
	}
	return false
}
