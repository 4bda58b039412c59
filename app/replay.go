package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"dynotap/format/pcap"
	"dynotap/source/jetdrive"
	"dynotap/source/jetdrive/klhdv"
)

func newReplay(p *Program) *cobra.Command {
	speed := 1.0
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "Send a capture to the JETDRIVE network again, with its own timing",
		Long: `Sends the JETDRIVE datagrams of a capture (pcap, pcapng) again, with the pauses they
had. Without --interface it stays on loopback. Load control and brake are never sent,
nor what stops a vendor's node; they are counted.`,
		Args: exactly(1),
	}
	o := p.options(cmd)
	o.networkFlags(cmd)
	o.override(cmd, "iface", "jetdrive.interface", "the same as --interface")
	cmd.Flags().Float64Var(&speed, "speed", 1, "times as fast; 0: without pauses")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := notNegative("speed", speed); err != nil {
			return err
		}
		if !cmd.Flags().Changed("interface") && !cmd.Flags().Changed("iface") {
			o.overrides["jetdrive.interface"] = loopback
		}
		loaded, err := o.load()
		if err != nil {
			return err
		}
		settings, err := jetdriveSettings(&loaded.Config.Jetdrive)
		if err != nil {
			return err
		}
		file, err := os.Open(args[0])
		if err != nil {
			return usageError{err}
		}
		defer file.Close()
		in, err := pcap.NewReader(file)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		r := replay{speed: speed}
		if err := r.run(cmd.Context(), settings.Conn, in); err != nil && cmd.Context().Err() == nil {
			return networkError(fmt.Errorf("%s: %w", args[0], err))
		}
		return r.tell(cmd.OutOrStdout(), args[0])
	}
	return cmd
}

// replay sends a capture and counts what became of its datagrams.
type replay struct {
	speed float64

	sent      int
	forbidden int // load control and brake
	unsafe    int // would stop a vendor's node
	other     int // to another port
	skipped   pcap.Skipped
}

func (r *replay) run(ctx context.Context, settings jetdrive.ConnSettings, in *pcap.Reader) error {
	conn, err := jetdrive.OpenConn(ctx, settings)
	if err != nil {
		return err
	}
	var deaf sync.WaitGroup
	deaf.Go(func() { // what others say is not wanted, and must not fill the ring
		for err := error(nil); err == nil; {
			err = conn.Receive(ctx, func(jetdrive.Packet) {})
		}
	})
	err = r.play(ctx, conn, settings.Port, in)
	err = errors.Join(err, conn.Close())
	deaf.Wait()
	return err
}

func (r *replay) play(ctx context.Context, conn *jetdrive.Conn, port uint16, in *pcap.Reader) error {
	var first, began time.Time
	for ctx.Err() == nil {
		d, err := in.Next()
		r.skipped = in.Skipped()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if d.To.Port() != port {
			r.other++
			continue
		}
		if first.IsZero() {
			first, began = d.At, time.Now()
		}
		if !r.pause(ctx, began, d.At.Sub(first)) {
			break
		}
		if err := r.send(conn, d.Data); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// pause waits until a datagram is due; false: ctx has ended. A time before the
// first one's does not wait.
func (r *replay) pause(ctx context.Context, began time.Time, after time.Duration) bool {
	if r.speed == 0 {
		return ctx.Err() == nil
	}
	wait := time.Until(began.Add(time.Duration(float64(after) / r.speed)))
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (r *replay) send(conn *jetdrive.Conn, datagram []byte) error {
	err := conn.Send(datagram)
	var forbidden *klhdv.ForbiddenError
	switch {
	case errors.As(err, &forbidden):
		r.forbidden++
	case errors.Is(err, klhdv.ErrUnsendable):
		r.unsafe++
	case err != nil:
		return err
	default:
		r.sent++
	}
	return nil
}

func (r *replay) tell(out io.Writer, path string) error {
	fmt.Fprintf(out, "%s: sent %s\n", path, plural(r.sent, "datagram"))
	for _, kept := range []struct {
		n   int
		why string
	}{
		{r.forbidden, "load control or brake, never sent"},
		{r.unsafe, "malformed, would stop a vendor's node"},
		{r.other, "to another port"},
		{r.skipped.Other, "not UDP over IPv4"},
		{r.skipped.Cut + r.skipped.Damaged + r.skipped.Fragment, "not whole in the file"},
	} {
		if kept.n > 0 {
			fmt.Fprintf(out, "  not sent: %d %s\n", kept.n, kept.why)
		}
	}
	return nil
}
