package app

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"dynotap/source/innovate/serial"
	"dynotap/source/jetdrive"
)

// discovery is what `discover --json` prints (DESIGN "Command line").
type discovery struct {
	Providers []jetdrive.ProviderStatus `json:"providers"`
	Serial    []serial.Found            `json:"serial"`
	// unlisted is why the serial ports could not be looked at.
	unlisted error
}

func newDiscover(p *Program) *cobra.Command {
	var asJSON bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "discover",
		Short: "List who is on the JETDRIVE network, and what speaks on the serial ports",
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
		found, err := discover(cmd.Context(), settings, portSettings(&loaded.Config.Innovate), timeout)
		if err != nil {
			return err
		}
		if asJSON {
			err = printJSON(cmd.OutOrStdout(), found)
		} else if err = printProviders(cmd, found.Providers, settings, timeout); err == nil {
			err = printSerial(cmd.OutOrStdout(), found.Serial)
		}
		if err == nil && found.unlisted != nil {
			err = lookError{fmt.Errorf("the serial ports could not be looked at: %w", found.unlisted)}
		}
		return err
	}
	return cmd
}

// discover listens to the network and to the serial ports at the same time.
// Ports that cannot be listed leave the network's part as it is.
func discover(ctx context.Context, network jetdrive.Settings, port serial.Settings, timeout time.Duration) (discovery, error) {
	found := discovery{}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		found.Providers, err = jetdrive.Discover(ctx, network, timeout)
		return networkError(err)
	})
	group.Go(func() error {
		found.Serial, found.unlisted = serial.NewFinder(port, nil).Scan(ctx)
		return nil
	})
	err := group.Wait()
	if found.Providers == nil {
		found.Providers = []jetdrive.ProviderStatus{}
	}
	if found.Serial == nil {
		found.Serial = []serial.Found{}
	}
	return found, err
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
