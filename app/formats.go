package app

import (
	"dynotap/config"
	"dynotap/format"
	"dynotap/format/csv"
	"dynotap/format/mlg"
	"dynotap/sample"
)

// formats lists the formats of files that this program reads. A new one is a
// folder under format/ and a line here.
func formats(cfg *config.Config) ([]format.Named, error) {
	zone, err := cfg.Location()
	if err != nil {
		return nil, err
	}
	settings := format.Settings{Zone: zone, Stoichiometric: sample.Stoichiometric, Columns: cfg.Channels}
	return []format.Named{
		{Name: "csv", Format: csv.New(settings)},
		{Name: "mlg", Format: mlg.Format{}},
	}, nil
}
