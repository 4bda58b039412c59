package app

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"dynotap/config"
)

// notBuilt are the parts of the configuration whose sources this program
// reads and checks but cannot run yet; `config check` names them.
func notBuilt() (keys []string) {
	for _, name := range formatNames() {
		for _, key := range []string{ // a file is there or not: nothing connects
			"connection_timeout_sec", "read_timeout_sec", "buffer_size", "auto_reconnect", "reconnect_delay_sec", "retry", "circuit_breaker",
		} {
			keys = append(keys, "data_sources."+name+"."+key)
		}
	}
	return keys
}

// options are the flags that choose configuration and data directory, shared
// by most commands.
type options struct {
	program   *Program
	path      string
	data      string
	overrides map[string]string
	create    bool // a data directory that is not there yet is made
}

func (p *Program) options(cmd *cobra.Command) *options {
	o := &options{program: p, overrides: map[string]string{}}
	cmd.Flags().StringVar(&o.path, "config", "", "configuration `file` (default: none, see dynotap config init)")
	cmd.Flags().StringVar(&o.data, "data", "", "data `directory` (default: persist_path, else the user's data directory)")
	return o
}

// load reads the configuration; what is wrong with it is wrong usage.
func (o *options) load() (*config.Loaded, error) {
	loaded, err := config.Load(config.LoadOptions{
		Path: o.path, Environ: o.program.Environ, Overrides: o.overrides, Sources: o.program.sourceNames(),
	})
	if err != nil {
		return nil, usageError{err}
	}
	return loaded, nil
}

// dir is the data directory, without reading more of the configuration than
// needed.
func (o *options) dir() (string, error) {
	if o.data != "" {
		return o.data, nil
	}
	loaded, err := o.load()
	if err != nil {
		return "", err
	}
	return loaded.DataDir("")
}

func newConfig(p *Program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Write, check and explain the configuration",
		Args:  onlyCommands,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigInit(), newConfigCheck(p), newConfigShow(p), newConfigSchema(p))
	return cmd
}

func newConfigInit() *cobra.Command {
	var preset string
	cmd := &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a first configuration file with notes (default dynotap.json)",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := "dynotap.json"
			if len(args) == 1 {
				name = args[0]
			}
			err := config.Init(name, preset)
			if errors.Is(err, fs.ErrExist) {
				return usageError{fmt.Errorf("%s exists already and was left alone: name another file", name)}
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "wrote %s (preset %s); use it with: dynotap run --config %s\n", name, preset, name)
			return err
		},
	}
	cmd.Flags().StringVar(&preset, "preset", config.PresetLiveCapture, "one of "+strings.Join(config.Presets(), ", "))
	return cmd
}

func newConfigCheck(p *Program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Say what is wrong with a configuration file, with line and column",
		Args:  exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			problems := config.Check(args[0], p.sourceNames()...)
			report := configReport{File: args[0], Problems: problems, NotBuilt: []string{}}
			if len(problems) == 0 {
				loaded, err := config.Load(config.LoadOptions{Path: args[0], Sources: p.sourceNames()})
				if err != nil {
					return usageError{err}
				}
				report.NotBuilt = append(report.NotBuilt, loaded.NotBuilt(notBuilt())...)
			}
			return report.print(cmd, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// configReport is what `config check --json` prints.
type configReport struct {
	File     string           `json:"file"`
	Problems []config.Problem `json:"problems"`
	NotBuilt []string         `json:"not_built"`
}

func (r configReport) print(cmd *cobra.Command, asJSON bool) error {
	out := cmd.OutOrStdout()
	failed := len(r.Problems) > 0
	if asJSON {
		if r.Problems == nil {
			r.Problems = []config.Problem{}
		}
		if err := printJSON(out, r); err != nil {
			return err
		}
	} else {
		for _, problem := range r.Problems {
			fmt.Fprintln(out, problem)
		}
		for _, setting := range r.NotBuilt {
			fmt.Fprintf(out, "%s: %s is checked but not built yet: it has no effect in this version\n", r.File, setting)
		}
		if !failed {
			fmt.Fprintf(out, "%s is valid\n", r.File)
		}
	}
	if failed {
		return usageError{fmt.Errorf("%s has %s", r.File, plural(len(r.Problems), "problem"))}
	}
	return nil
}

func newConfigShow(p *Program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show the effective configuration and where each value comes from",
		Args:  exactly(0),
	}
	o := p.options(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		loaded, err := o.load()
		if err != nil {
			return err
		}
		settings := loaded.Settings(p.sourceNames())
		if asJSON {
			return printJSON(cmd.OutOrStdout(), map[string]any{"settings": settings})
		}
		rows := make([][]string, 0, len(settings))
		for _, s := range settings {
			rows = append(rows, []string{s.Path, fmt.Sprint(s.Value), s.Origin})
		}
		return printTable(cmd.OutOrStdout(), []string{"setting", "value", "from"}, rows)
	}
	return cmd
}

func newConfigSchema(p *Program) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the configuration's JSON Schema, for editors",
		Args:  exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			schema, err := config.Schema(p.sourceNames()...)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), string(schema))
			return err
		},
	}
}

// plural prints a count with its noun.
func plural(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "ch"):
		noun += "e"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
