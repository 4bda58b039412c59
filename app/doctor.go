package app

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"

	"dynotap/config"
	"dynotap/doctor"
	"dynotap/server"
)

func newDoctor(p *Program) *cobra.Command {
	var asJSON bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what keeps a session from being recorded, and say how to mend it",
		Long: `Listens to the network and looks at interfaces, ports, firewall, clocks, serial ports and
disk. Nothing is changed; nothing is sent but what dynotap run would send. It may run
beside dynotap run. docs/doctor.md explains each finding.

The exit code says the worst of them: 0 nothing to mend, 3 a warning, 1 an error.`,
		Args: exactly(0),
	}
	o := p.options(cmd)
	o.networkFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().DurationVar(&timeout, "timeout", doctor.DefaultListen, "how long to listen to the network")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if timeout <= 0 {
			return usageError{fmt.Errorf("--timeout must be more than 0, not %v", timeout)}
		}
		loaded, err := o.load()
		if err != nil {
			return err
		}
		dir, err := loaded.DataDir(o.data)
		if err != nil {
			return err
		}
		settings, err := examination(&loaded.Config, dir, o.askPort)
		if err != nil {
			return err
		}
		settings.Listen = timeout
		settings.Running = o.askReadiness
		report, err := doctor.New(settings).Examine(cmd.Context())
		if err != nil {
			return err
		}
		if asJSON {
			err = printJSON(cmd.OutOrStdout(), report)
		} else {
			err = printFindings(cmd.OutOrStdout(), &report, widthOf(cmd.OutOrStdout()))
		}
		if err != nil {
			return err
		}
		return verdict(&report)
	}
	return cmd
}

// examination is what a doctor looks at with a configuration.
func examination(cfg *config.Config, dir string, own ownPorts) (doctor.Options, error) {
	network, err := jetdriveSettings(&cfg.Jetdrive)
	if err != nil {
		return doctor.Options{}, err
	}
	network.Conn.BufferDatagrams = cfg.Source("jetdrive").BufferSize
	zone, err := cfg.Location()
	if err != nil {
		return doctor.Options{}, usageError{fmt.Errorf("time_zone: %w", err)}
	}
	options := doctor.Options{Network: network, Data: dir, TimeZone: zone, ZoneName: cfg.TimeZone}
	if cfg.Source("innovate").Enabled {
		options.Ports = serialPorts(&cfg.Innovate, own)
	}
	return options, nil
}

// askReadiness asks the running instance whether it accepts samples.
func (o *options) askReadiness(ctx context.Context) (doctor.Readiness, error) {
	c, err := o.connectRunning()
	if err != nil {
		return doctor.Readiness{}, err
	}
	var ready server.Readiness
	if _, err := c.get(ctx, "readyz", nil, &ready); err != nil {
		return doctor.Readiness{}, err
	}
	return doctor.Readiness(ready), nil
}

// askPort asks the running instance, if there is one, for its serial ports.
func (o *options) askPort(ctx context.Context) *widebandDetails {
	c, err := o.connectRunning()
	if err != nil {
		return nil
	}
	var source struct {
		Details widebandDetails `json:"details"`
	}
	if _, err := c.get(ctx, "api/v1/sources/innovate", nil, &source); err != nil {
		return nil
	}
	return &source.Details
}

// newDoctor is the doctor of a recording, who looks from within.
func (a *recording) newDoctor() (*doctor.Doctor, error) {
	settings, err := examination(&a.loaded.Config, a.dir, func(context.Context) *widebandDetails {
		for _, s := range a.cell.sources {
			if s.live.Details == nil {
				continue
			}
			if own, ok := s.live.Details().(widebandDetails); ok {
				return &own
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	settings.Running = func(ctx context.Context) (doctor.Readiness, error) { return doctor.Readiness(a.readiness(ctx)), nil }
	return doctor.New(settings), nil
}

// verdict makes the worst finding the exit code.
func verdict(r *doctor.Report) error {
	errors, warnings := findingsOf(r, doctor.Error), findingsOf(r, doctor.Warning)
	switch {
	case errors > 0 && warnings > 0:
		return fmt.Errorf("the doctor found %s and %s: what to do is said with each", plural(errors, "error"), plural(warnings, "warning"))
	case errors > 0:
		return fmt.Errorf("the doctor found %s: what to do is said with each", plural(errors, "error"))
	case warnings > 0:
		return lookError{fmt.Errorf("the doctor found %s: what to do is said with each", plural(warnings, "warning"))}
	}
	return nil
}

func findingsOf(r *doctor.Report, s doctor.Severity) int {
	n := 0
	for i := range r.Findings {
		if r.Findings[i].Severity == s {
			n++
		}
	}
	return n
}

// printFindings prints the findings by severity, the worst first: what was
// found, and under it what to do. Lines are broken to the terminal's width, 0
// leaves them whole.
func printFindings(out io.Writer, r *doctor.Report, width int) error {
	longest := 0
	for _, name := range r.Checked {
		longest = max(longest, len(name))
	}
	var text strings.Builder
	for _, severity := range doctor.Severities() {
		of := slices.DeleteFunc(slices.Clone(r.Findings), func(f doctor.Finding) bool { return f.Severity != severity })
		if len(of) == 0 {
			continue
		}
		if text.Len() > 0 {
			text.WriteString("\n")
		}
		fmt.Fprintln(&text, strings.ToUpper(string(severity)))
		for i := range of {
			indent := longest + 4
			head := fmt.Sprintf("  %-*s  ", longest, of[i].Check)
			for _, line := range broken(oneLine(of[i].Found), width-indent) {
				fmt.Fprintln(&text, head+line)
				head = strings.Repeat(" ", indent)
			}
			if of[i].Mend == "" || severity == doctor.OK {
				continue
			}
			mark := strings.Repeat(" ", indent) + "> "
			for _, line := range broken(oneLine(of[i].Mend), width-indent-2) {
				fmt.Fprintln(&text, mark+line)
				mark = strings.Repeat(" ", indent+2)
			}
		}
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// oneLine makes one safe line of a text, all of it.
func oneLine(text string) string { return plain(strings.Join(strings.Fields(text), " ")) }

// narrowest is the least room in which breaking lines helps.
const narrowest = 30

// broken breaks a text between words into lines of at most so many columns.
func broken(text string, width int) []string {
	if width < narrowest {
		return []string{text}
	}
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case lipgloss.Width(line)+1+lipgloss.Width(word) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	return append(lines, line)
}
