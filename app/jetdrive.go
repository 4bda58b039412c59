package app

import (
	"errors"
	"fmt"
	"net/netip"

	"dynotap/config"
	"dynotap/source"
	"dynotap/source/jetdrive"
)

// buildJetdrive is the line of the list of sources.
func buildJetdrive(in SourceInput) (source.Source, error) {
	settings, err := jetdriveSettings(&in.Config.Jetdrive)
	if err != nil {
		return nil, err
	}
	settings.Conn.BufferDatagrams = in.Settings.BufferSize
	return jetdrive.New(settings, jetdrive.Options{
		Logger: in.Logger, Session: in.Session,
		Logging: func(c jetdrive.LoggingChange) { in.Logging(c.Provider, c.Started, c.At) },
	}), nil
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
