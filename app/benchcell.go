package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strconv"
	"time"

	"dynotap/app/bench"
	"dynotap/config"
	"dynotap/pipeline"
	"dynotap/source"
	"dynotap/source/jetdrive"
)

// benchCell starts a recording of a network into a directory that goes with it.
func (p *Program) benchCell(network jetdrive.ConnSettings, accepted func(pipeline.Accepted)) (cell bench.Cell, err error) {
	ctx := context.Background()
	loaded, err := config.Load(config.LoadOptions{Overrides: map[string]string{
		"preset": config.PresetLiveCapture, "jetdrive.multicast_group": network.Group.String(),
		"jetdrive.port": strconv.Itoa(int(network.Port)), "jetdrive.interface": network.Interface, "jetdrive.transmit": "false",
		"data_sources.innovate.enabled": "false", "server.listen": loopback + ":0",
	}})
	if err != nil {
		return cell, err
	}
	dir, err := os.MkdirTemp("", "dynotap-bench-")
	if err != nil {
		return cell, err
	}
	a := &recording{
		program: p, loaded: loaded, dir: dir, logger: slog.New(slog.DiscardHandler), say: newSpeaker(io.Discard), serveUI: true, accepted: accepted,
	}
	cell.Close = func() error {
		ctx, cancel := context.WithTimeout(ctx, stopLimit)
		defer cancel()
		return errors.Join(a.stop(ctx), a.close(), os.RemoveAll(dir))
	}
	if err := a.open(ctx); err != nil {
		return cell, errors.Join(err, cell.Close())
	}
	if err := a.start(ctx); err != nil {
		return cell, errors.Join(err, cell.Close())
	}
	for begun := time.Now(); a.cell.sources[0].supervisor.State() != source.Connected; time.Sleep(time.Millisecond) {
		if time.Since(begun) > stopLimit {
			return cell, errors.Join(errors.New("the source does not connect"), cell.Close())
		}
	}
	cell.URL = a.server.URL()
	return cell, nil
}
