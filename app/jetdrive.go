package app

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"dynotap/config"
	"dynotap/source/jetdrive"
)

// buildJetdrive is the line of the list of sources.
func buildJetdrive(in SourceInput) (LiveSource, error) {
	settings, err := jetdriveSettings(&in.Config.Jetdrive)
	if err != nil {
		return LiveSource{}, err
	}
	settings.Conn.BufferDatagrams = in.Settings.BufferSize
	made := jetdrive.New(settings, jetdrive.Options{
		Logger: in.Logger, Session: in.Session,
		Logging: func(c jetdrive.LoggingChange) { in.Logging(c.Provider, c.Started, c.At) },
	})
	return LiveSource{
		Source: made,
		Check: func(ctx context.Context) error {
			return checkNetwork(ctx, settings.Conn, in.Settings.AutoReconnect)
		},
		Details: func() any { return made.Status() },
		Warning: func() string { return networkRemarks(made.Status(), in.Settings.Custom.MaxFrameDropRatePercent) },
		Losses:  func() map[string]uint64 { return losses(made.Status()) },
		Overruns: func() Overruns {
			s := made.Status().Socket
			return Overruns{Datagrams: s.KernelDrops + s.RingFull, Samples: s.UnreadValues}
		},
	}, nil
}

// networkRemarks says what is wrong with the network, and which providers lose
// more than limit, in per cent of their messages.
func networkRemarks(s jetdrive.Status, limit float64) string {
	var out []string
	if s.Warning != "" {
		out = append(out, s.Warning)
	}
	for i := range s.Providers {
		if p := &s.Providers[i]; p.LossPercent > limit {
			out = append(out, fmt.Sprintf("%.1f %% of the messages of %s are lost on the way (max_frame_drop_rate_percent %g): check cable and switch; Wi-Fi loses multicast",
				p.LossPercent, p.Name, limit))
		}
	}
	return strings.Join(out, "; ")
}

func jetdriveSettings(c *config.Jetdrive) (jetdrive.Settings, error) {
	group, err := netip.ParseAddr(c.MulticastGroup)
	if err != nil {
		return jetdrive.Settings{}, fmt.Errorf("multicast group: %w", err)
	}
	return jetdrive.Settings{
		Conn:           jetdrive.ConnSettings{Group: group, Port: uint16(c.Port), Interface: c.Interface},
		ListenOnly:     !c.Transmit,
		ProviderFilter: c.ProviderFilter,
		ChannelFilter:  c.ChannelFilter,
		AskAgain:       c.SubscribeTimeoutSec.Duration(),
		Linger:         jetdrive.DefaultLinger,
	}, nil
}

// networkError turns what is wrong with the network as configured into wrong
// usage; anything else may pass.
func networkError(err error) error {
	var unknown *jetdrive.InterfaceError
	if errors.As(err, &unknown) || errors.Is(err, jetdrive.ErrPortHeld) {
		return usageError{err}
	}
	return err
}

// checkNetwork opens the network once, so that a start with an unknown
// interface or a port that somebody holds ends with one sentence. An interface
// that is there and down, or has no address yet, is waited for by a source
// that is to try for ever.
func checkNetwork(ctx context.Context, settings jetdrive.ConnSettings, patient bool) error {
	conn, err := jetdrive.OpenConn(ctx, settings)
	var unusable *jetdrive.InterfaceError
	if patient && errors.As(err, &unusable) && unusable.Passing {
		return nil
	}
	if err != nil {
		return networkError(err)
	}
	return conn.Close()
}

// losses counts datagrams that became no samples, by reason.
func losses(s jetdrive.Status) map[string]uint64 {
	return map[string]uint64{
		"lost": s.Total.Lost, "reordered": s.Total.Reordered, "duplicate": s.Total.Duplicate,
		"malformed": s.Total.Malformed.Total(), "unknown_key": s.Total.UnknownKeys,
		"kernel_drops": s.Socket.KernelDrops, "ring_full": s.Socket.RingFull, "truncated": s.Socket.Truncated,
		"incompatible": s.Total.Ignored.Incompatible, "too_many_hosts": s.Total.Ignored.TooManyHosts,
	}
}
