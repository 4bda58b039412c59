package app

import (
	"slices"

	"dynotap/config"
	"dynotap/format"
	netcapture "dynotap/format/capture"
	"dynotap/format/csv"
	"dynotap/format/haltech"
	"dynotap/format/jetdrivelog"
	"dynotap/format/mlg"
	"dynotap/format/msl"
	"dynotap/format/powervision"
	"dynotap/format/winpep"
	"dynotap/format/wp8"
	"dynotap/sample"
)

// formatNames are the names of all formats, as the configuration gives them.
func formatNames() []string {
	return []string{"winpep", "powervision", "jetdrivelog", "csv", "pcap", "wp8", "msl", "haltech", "mlg"}
}

// formats lists the formats of files that this program reads, without those
// that the configuration switches off. A new one is a
// folder under format/ and a line here.
func formats(cfg *config.Config) ([]format.Named, error) {
	zone, err := cfg.Location()
	if err != nil {
		return nil, err
	}
	settings := format.Settings{Zone: zone, Stoichiometric: sample.Stoichiometric, Columns: cfg.Channels}
	pep, err := winpep.New(settings)
	if err != nil {
		return nil, err
	}
	jet, err := jetdrivelog.New(settings)
	if err != nil {
		return nil, err
	}
	all := []format.Named{
		{Name: "winpep", Format: pep},
		{Name: "powervision", Format: powervision.New(settings)},
		{Name: "jetdrivelog", Format: jet},
		{Name: "csv", Format: csv.New(settings)},
		{Name: "pcap", Format: netcapture.New(uint16(cfg.Jetdrive.Port))},
		{Name: "wp8", Format: wp8.New(settings)},
		{Name: "msl", Format: msl.New(settings)},
		{Name: "haltech", Format: haltech.New(settings)},
		{Name: "mlg", Format: mlg.Format{}},
	}
	return slices.DeleteFunc(all, func(f format.Named) bool {
		s, listed := cfg.DataSources[f.Name]
		return listed && !s.Enabled
	}), nil
}
