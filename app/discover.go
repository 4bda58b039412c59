package app

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"dynotap/source/innovate/serial"
	"dynotap/source/jetdrive"
)

// discovery is what `discover --json` prints (DESIGN "Command line").
type discovery struct {
	Providers []jetdrive.ProviderStatus `json:"providers"`
	Serial    []serial.Found            `json:"serial"`
}

func newDiscover(p *Program) *cobra.Command {
	var asJSON bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "discover",
		Short: "List who is on the JETDRIVE network and on the serial ports: providers, channels, units, rates, clocks",
		Args:  exactly(0),
	}
	o := p.options(cmd)
	o.networkFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "how long to listen (default: discovery_timeout_sec)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		loaded, err := o.load()
		if err != nil {
			return err
		}
		settings, err := jetdriveSettings(&loaded.Config.Jetdrive)
		if err != nil {
			return err
		}
		if cmd.Flags().Changed("timeout") && timeout <= 0 {
			return usageError{fmt.Errorf("--timeout must be more than 0, not %v", timeout)}
		}
		if timeout == 0 {
			timeout = loaded.Config.Jetdrive.DiscoveryTimeoutSec.Duration()
		}
		var found discovery
		var ports sync.WaitGroup
		var scanned error
		ports.Go(func() { found.Serial, scanned = scanPorts(cmd.Context(), &loaded.Config.Innovate) })
		found.Providers, err = jetdrive.Discover(cmd.Context(), settings, timeout)
		ports.Wait()
		if err = errors.Join(err, scanned); err != nil {
			return networkError(err)
		}
		if asJSON {
			if found.Providers == nil {
				found.Providers = []jetdrive.ProviderStatus{}
			}
			return printJSON(cmd.OutOrStdout(), found)
		}
		if err := printProviders(cmd, found.Providers, settings, timeout); err != nil {
			return err
		}
		return printPorts(cmd.OutOrStdout(), found.Serial)
	}
	return cmd
}

func printProviders(cmd *cobra.Command, providers []jetdrive.ProviderStatus, s jetdrive.Settings, waited time.Duration) error {
	out := cmd.OutOrStdout()
	if len(providers) == 0 {
		_, err := fmt.Fprintf(out, "nobody spoke on %s:%d within %v: is JETDRIVE switched on in Power Core, and is this the right interface? See docs/power-core.md\n",
			s.Conn.Group, s.Conn.Port, waited)
		return err
	}
	for _, provider := range providers {
		fmt.Fprintf(out, "%s %q at %s, %s at %.1f Hz, lost %d, reordered %d, duplicate %d, clock %s\n",
			provider.HostID, provider.Name, provider.Address, plural(len(provider.Channels), "channel"),
			provider.RateHz, provider.Lost, provider.Reordered, provider.Duplicate, provider.Clock.Source)
		rows := make([][]string, 0, len(provider.Channels))
		for _, c := range provider.Channels {
			rows = append(rows, []string{strconv.Itoa(int(c.ID)), c.Name, string(c.Unit)})
		}
		if err := printTable(out, []string{"id", "channel", "unit"}, rows); err != nil {
			return err
		}
	}
	return nil
}

// printPorts says what speaks on the serial ports, where there are any.
func printPorts(out io.Writer, ports []serial.Found) error {
	for i := range ports {
		p := &ports[i]
		what := "nothing speaks"
		switch {
		case p.Speaks:
			what = p.Device
		case p.Error != "":
			what = p.Error
		}
		if _, err := fmt.Fprintf(out, "%s %s: %s\n", p.Name, p.Product, what); err != nil {
			return err
		}
	}
	return nil
}

// networkFlags are the JETDRIVE network's settings as flags.
func (o *options) networkFlags(cmd *cobra.Command) {
	o.override(cmd, "group", "jetdrive.multicast_group", "multicast `group`")
	o.override(cmd, "port", "jetdrive.port", "UDP `port`")
	o.override(cmd, "interface", "jetdrive.interface", "network interface by `address or name`")
}

// override makes a flag of a setting; like every flag it wins over file and
// environment and is checked like them.
func (o *options) override(cmd *cobra.Command, flag, setting, usage string) {
	cmd.Flags().Var(overrideFlag{o.overrides, setting}, flag, usage)
}

type overrideFlag struct {
	overrides map[string]string
	setting   string
}

func (f overrideFlag) String() string     { return "" }
func (f overrideFlag) Set(v string) error { f.overrides[f.setting] = v; return nil }
func (f overrideFlag) Type() string       { return "value" }
