package app

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dynotap/format/pcap"
	"dynotap/sample"
	"dynotap/source/jetdrive"
)

func newDecode(p *Program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "decode",
		Short: "Say what is in a file of raw bytes from a device; stores nothing",
		Args:  onlyCommands,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDecodeInnovate(), newDecodeJetdrive(p))
	return cmd
}

// networkDecoding is what `decode jetdrive --json` prints. The same file gives
// the same content, always.
type networkDecoding struct {
	File      string             `json:"file"`
	Datagrams int                `json:"datagrams"` // of the JETDRIVE port
	FirstAt   *time.Time         `json:"first_at"`
	LastAt    *time.Time         `json:"last_at"`
	Samples   int64              `json:"samples"`
	Providers []capturedProvider `json:"providers"`
	Total     jetdrive.Counters  `json:"total"`
	// Elsewhere counts UDP datagrams to other ports, by destination.
	Elsewhere map[string]int `json:"elsewhere"`
	Skipped   pcap.Skipped   `json:"skipped"`
	// Error says why the end of the file could not be read; null: it was.
	Error *string `json:"error"`
}

type capturedProvider struct {
	jetdrive.ProviderStatus
	Channels []capturedChannel `json:"channels"`
}

type capturedChannel struct {
	Key     string      `json:"key"`
	ID      uint32      `json:"id"`
	Name    string      `json:"name"`
	Unit    sample.Unit `json:"unit"`
	Samples int64       `json:"samples"`
	Min     *float64    `json:"min"` // of the finite values
	Max     *float64    `json:"max"`
	Last    *float64    `json:"last"`
}

func newDecodeJetdrive(p *Program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "jetdrive FILE",
		Short: "Providers, channels and values in a network capture (pcap, pcapng)",
		Args:  exactly(1),
	}
	o := p.options(cmd)
	o.override(cmd, "port", "jetdrive.port", "UDP `port`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		loaded, err := o.load()
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
		report, err := decodeNetwork(in, uint16(loaded.Config.Jetdrive.Port))
		report.File = args[0]
		if asJSON {
			if printed := printJSON(cmd.OutOrStdout(), report); printed != nil {
				return printed
			}
		} else if printed := report.print(cmd.OutOrStdout()); printed != nil {
			return printed
		}
		if err != nil {
			return lookError{fmt.Errorf("%s: %w", args[0], err)}
		}
		return nil
	}
	return cmd
}

// decodeNetwork reads a capture to its end, or to the damage that the error
// tells of.
func decodeNetwork(in *pcap.Reader, port uint16) (networkDecoding, error) {
	out := networkDecoding{Providers: []capturedProvider{}, Elsewhere: map[string]int{}}
	decoder := jetdrive.NewDecoder(jetdrive.Settings{}, jetdrive.Options{})
	channels := tallies{}
	var failed error
	for {
		d, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			text := err.Error()
			out.Error, failed = &text, err
			break
		}
		if d.To.Port() != port {
			out.Elsewhere[d.To.String()]++
			continue
		}
		if out.FirstAt == nil {
			out.FirstAt = &d.At
		}
		out.LastAt = &d.At
		out.Datagrams++
		decoder.Handle(d.Data, d.From, d.At.UnixMicro())
		for b := decoder.Next(); b != nil; b = decoder.Next() {
			out.Samples += int64(len(b.Samples))
			channels.add(b)
			decoder.Recycle(b)
		}
	}
	out.Skipped, out.Total = in.Skipped(), decoder.Counters()
	if out.LastAt != nil {
		for _, status := range decoder.Providers(out.LastAt.UnixMicro()) {
			out.Providers = append(out.Providers, capturedProvider{status, channels.of(status.Key)})
		}
	}
	return out, failed
}

// tallies sums up channels by their keys.
type tallies map[string]*capturedChannel

func (t tallies) add(b *sample.Batch) {
	list := b.Set.Channels()
	for _, s := range b.Samples {
		c := &list[s.Channel]
		sum := t[c.Key]
		if sum == nil {
			sum = &capturedChannel{Key: c.Key, ID: c.ID}
			t[c.Key] = sum
		}
		sum.Name, sum.Unit = c.Label, c.NativeUnit // a name may come late
		sum.Samples++
		if v := s.Value; v-v == 0 {
			sum.Last = &v
			if sum.Min == nil || v < *sum.Min {
				sum.Min = &v
			}
			if sum.Max == nil || v > *sum.Max {
				sum.Max = &v
			}
		}
	}
}

// of gives the channels of a provider, by number.
func (t tallies) of(provider string) []capturedChannel {
	out := []capturedChannel{}
	for key, sum := range t {
		if strings.HasPrefix(key, provider+"/") {
			out = append(out, *sum)
		}
	}
	slices.SortFunc(out, func(a, b capturedChannel) int {
		if a.ID != b.ID {
			return int(a.ID) - int(b.ID)
		}
		return strings.Compare(a.Key, b.Key)
	})
	return out
}

func (r *networkDecoding) print(out io.Writer) error {
	fmt.Fprintf(out, "%s: %s, %s samples", r.File, plural(r.Datagrams, "datagram"), thousands(r.Samples))
	if r.FirstAt != nil {
		fmt.Fprintf(out, " in %.3f s from %s", r.LastAt.Sub(*r.FirstAt).Seconds(), localTime(r.FirstAt.UnixMicro()))
	}
	fmt.Fprintln(out)
	for to, n := range r.Elsewhere {
		fmt.Fprintf(out, "  %s to %s left out\n", plural(n, "datagram"), to)
	}
	if malformed := r.Total.Malformed.Total(); malformed > 0 {
		fmt.Fprintf(out, "  %d malformed\n", malformed)
	}
	for _, p := range r.Providers {
		fmt.Fprintf(out, "%s %q at %s: lost %d, reordered %d, duplicate %d\n", p.HostID, p.Name, p.Address, p.Lost, p.Reordered, p.Duplicate)
		rows := make([][]string, 0, len(p.Channels))
		for _, c := range p.Channels {
			rows = append(rows, []string{
				strconv.Itoa(int(c.ID)), c.Name, string(c.Unit), thousands(c.Samples), number(c.Min, 3), number(c.Max, 3), number(c.Last, 3),
			})
		}
		if err := printTable(out, []string{"id", "channel", "unit", "samples", "min", "max", "last"}, rows); err != nil {
			return err
		}
	}
	return nil
}
