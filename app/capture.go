package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"

	"dynotap/format/pcap"
	"dynotap/source/jetdrive"
)

func newCapture(p *Program) *cobra.Command {
	var path string
	var seconds float64
	var force bool
	cmd := &cobra.Command{
		Use:   "capture -o FILE.pcapng",
		Short: "Write what is spoken on the JETDRIVE network to a file, for replay, decode and Wireshark",
		Long: `Writes every datagram of the JETDRIVE group to a pcapng file, with the addresses and
the time of its arrival, until Ctrl-C. It sends nothing, and works beside a running
dynotap and beside Power Core.`,
		Args: exactly(0),
	}
	o := p.options(cmd)
	o.networkFlags(cmd)
	cmd.Flags().StringVarP(&path, "output", "o", "", "the `file` to write")
	cmd.Flags().Float64Var(&seconds, "seconds", 0, "end after so many seconds (default: run until Ctrl-C)")
	cmd.Flags().BoolVar(&force, "force", false, "overwrite the file if it is there")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if path == "" {
			return usageError{errors.New("name the file to write with -o")}
		}
		if err := notNegative("seconds", seconds); err != nil {
			return err
		}
		loaded, err := o.load()
		if err != nil {
			return err
		}
		settings, err := jetdriveSettings(&loaded.Config.Jetdrive)
		if err != nil {
			return err
		}
		ctx, cancel := forSeconds(cmd.Context(), seconds)
		defer cancel()
		file, err := createFile(path, force)
		if err != nil {
			return err
		}
		counts, err := capture(ctx, settings.Conn, file, "dynotap "+p.Version)
		if err = errors.Join(networkError(err), file.Close()); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s: %s of %s:%d\n", path, plural(int(counts.Datagrams), "datagram"), settings.Conn.Group, settings.Conn.Port)
		if lost := counts.KernelDrops + counts.RingFull + counts.Truncated; lost > 0 {
			return lookError{fmt.Errorf("%d datagrams came and were not written: kernel %d, disk too slow %d, truncated %d",
				lost, counts.KernelDrops, counts.RingFull, counts.Truncated)}
		}
		return nil
	}
	return cmd
}

// createFile makes a file that is not there yet, unless told to overwrite it.
func createFile(path string, force bool) (*os.File, error) {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	file, err := os.OpenFile(path, flags, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, usageError{fmt.Errorf("%s exists: choose another name, or --force to overwrite it", path)}
	}
	return file, err
}

// flushEvery is how often a capture goes to the file, so that a look into it
// while it grows sees the last second.
const flushEvery = time.Second

// capture writes the group's datagrams to out until ctx ends.
func capture(ctx context.Context, settings jetdrive.ConnSettings, out io.Writer, application string) (jetdrive.ConnCounters, error) {
	conn, err := jetdrive.OpenConn(ctx, settings)
	if err != nil {
		return jetdrive.ConnCounters{}, err
	}
	to := netip.AddrPortFrom(settings.Group, settings.Port)
	w, err := pcap.NewWriter(out, application, "JETDRIVE "+to.String())
	if err != nil {
		return jetdrive.ConnCounters{}, errors.Join(err, conn.Close())
	}
	var failed error
	write := func(p jetdrive.Packet) {
		if failed == nil {
			failed = w.Write(pcap.Datagram{At: p.Arrived, From: p.From, To: to, Data: p.Data})
		}
	}
	for failed == nil && ctx.Err() == nil {
		failed = errors.Join(receiveFor(ctx, conn, flushEvery, write), failed, w.Flush())
	}
	closed := conn.Close()
	conn.Drain(write)
	return conn.Counters(), errors.Join(failed, w.Flush(), closed)
}

// receiveFor takes packets for so long, or until ctx ends.
func receiveFor(ctx context.Context, conn *jetdrive.Conn, span time.Duration, each func(jetdrive.Packet)) error {
	limited, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	for {
		switch err := conn.Receive(limited, each); {
		case limited.Err() != nil:
			return nil
		case err != nil:
			return err
		}
	}
}
