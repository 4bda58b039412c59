package config

import "fmt"

// The presets (DESIGN decision 1). high_reliability and live_capture keep the
// queue on disk, flush it, and make the source wait when it is full. low_latency
// keeps it in memory, delivers every batch by itself and waits for no flush of
// the disk; its queue is short, so that what it delivers under overload is
// seconds old and not minutes, and drops the oldest.
const (
	PresetHighReliability = "high_reliability"
	PresetLowLatency      = "low_latency"
	PresetLiveCapture     = "live_capture"
)

// Presets lists the names.
func Presets() []string {
	return []string{PresetHighReliability, PresetLowLatency, PresetLiveCapture}
}

type presetSetting struct{ path, value string }

// presetSettings is what a preset sets; everything else is the guide's
// default. No name is no preset.
func presetSettings(name string) []presetSetting {
	switch name {
	case PresetHighReliability, PresetLiveCapture:
		return []presetSetting{
			{"queue.persist_to_disk", "true"},
			{"queue.fsync", "true"},
			{"queue.drop_on_full", "false"},
			{"queue.drop_oldest", "false"},
		}
	case PresetLowLatency:
		return []presetSetting{
			{"queue.persist_to_disk", "false"},
			{"queue.fsync", "false"},
			{"queue.max_size", "1000"},
			{"queue.drop_on_full", "true"},
			{"queue.drop_oldest", "true"},
			{"queue.batch_size", "1"},
			{"queue.flush_interval_sec", "0"},
		}
	}
	return nil
}

// Preset is the configuration that a file holding nothing but this preset
// gives.
func Preset(name string) (Config, error) {
	if presetSettings(name) == nil {
		return Config{}, fmt.Errorf("no preset %q%s", name, suggest(name, Presets()))
	}
	l, err := load("", "{}", LoadOptions{Overrides: map[string]string{"preset": name}})
	if err != nil {
		return Config{}, err
	}
	return l.Config, nil
}

// Default is the configuration of a file that holds nothing: the guide's
// defaults.
func Default() (Config, error) {
	l, err := load("", "{}", LoadOptions{})
	if err != nil {
		return Config{}, err
	}
	return l.Config, nil
}
