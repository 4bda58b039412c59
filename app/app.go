// Package app is the program: the command line, one file a command, and the
// list of sources. Somebody else's main can call Main with a longer list.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes of the program (DESIGN "Command line").
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitRejected = 3 // done, and something in it needs a look
)

// Program is what a main hands to Main.
type Program struct {
	Version string
	// Sources lists the live sources this program knows; see Sources.
	Sources        []SourceSpec
	Stdout, Stderr io.Writer
	// Environ is the environment as os.Environ gives it.
	Environ []string
}

// usageError marks an error as the user's way of calling: exit code 2.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// lookError makes the exit code 3: what was asked for was done, and something
// in it needs a look.
type lookError struct{ err error }

func (e lookError) Error() string { return e.err.Error() }
func (e lookError) Unwrap() error { return e.err }

// Main runs the program with the given arguments (without its name) and gives
// the exit code. Interrupt and terminate end the running command in order; a
// second one ends the program at once.
func Main(args []string, p Program) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// After the first signal the default action returns, so that a second
	// one ends a stop that takes too long.
	context.AfterFunc(ctx, stop)
	return execute(ctx, args, p)
}

func execute(ctx context.Context, args []string, p Program) int {
	root := newRoot(&p)
	root.SetArgs(args)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintf(p.Stderr, "dynotap: %v\n", err)
	var usage usageError
	var look lookError
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &look):
		return exitRejected
	}
	return exitFailed
}

func newRoot(p *Program) *cobra.Command {
	root := &cobra.Command{
		Use:   "dynotap",
		Short: "Captures what a dyno cell says, checks every sample and loses none",
		Long: `dynotap listens to a dyno cell (JETDRIVE multicast), checks every sample, keeps it
durably, and leaves runs that people look at and tools read as Parquet or CSV.

Start with "dynotap run" beside Power Core, or "dynotap run --demo" without any
hardware, and look at http://127.0.0.1:8686/.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          onlyCommands,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w: see %s --help", err, cmd.CommandPath())}
	})
	root.AddCommand(
		newRun(p), newImport(p), newInspect(p), newConvert(p), newStatus(p), newRuns(p), newQueue(p), newDeadLetters(p), newDiscover(p), newDoctor(p), newCapture(p), newReplay(p),
		newDecode(p), newSimulate(p), newConfig(p), newBackup(p), newRestore(), newBench(p), newVersion(p),
	)
	return root
}

// onlyCommands is for commands that do nothing themselves.
func onlyCommands(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unknown command %q: see %s --help", args[0], cmd.CommandPath())}
	}
	return nil
}

// exactly makes a wrong number of arguments wrong usage.
func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < n:
			return usageError{fmt.Errorf("an argument is missing: %s", cmd.UseLine())}
		case len(args) > n:
			return usageError{fmt.Errorf("unexpected argument %q: %s", args[n], cmd.UseLine())}
		}
		return nil
	}
}

// notNegative refuses a duration in seconds below zero.
func notNegative(flag string, seconds float64) error {
	if !(seconds >= 0) {
		return usageError{fmt.Errorf("--%s must be 0 or more, not %g", flag, seconds)}
	}
	return nil
}
