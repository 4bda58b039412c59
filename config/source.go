package config

import (
	"maps"
	"slices"
	"time"
)

// SourceSettings are the effective settings of one source. They share no
// memory with the configuration or another source's.
type SourceSettings struct {
	Name string
	// Enabled is false too where global_enabled is.
	Enabled bool
	// ConnectTimeout bounds one attempt to open, ReadTimeout one read.
	ConnectTimeout, ReadTimeout time.Duration
	// BufferSize is in datagrams for jetdrive and in bytes otherwise.
	BufferSize int
	// AutoReconnect: after all attempts have failed, start over after
	// ReconnectDelay, for ever.
	AutoReconnect  bool
	ReconnectDelay time.Duration
	Retry          Retry
	Breaker        CircuitBreaker
	Validation     Validation
	Custom         Custom
}

// Source gives the settings of a source: its entry in data_sources, the
// section of its name, and what it inherits. A source that the configuration
// was not told of (LoadOptions.Sources) gets nothing and is not enabled.
func (c *Config) Source(name string) SourceSettings {
	s, ok := c.DataSources[name]
	if !ok {
		return SourceSettings{Name: name}
	}
	return SourceSettings{
		Name:           name,
		Enabled:        c.GlobalEnabled && s.Enabled,
		ConnectTimeout: s.ConnectionTimeoutSec.Duration(),
		ReadTimeout:    s.ReadTimeoutSec.Duration(),
		BufferSize:     s.BufferSize,
		AutoReconnect:  s.AutoReconnect,
		ReconnectDelay: s.ReconnectDelaySec.Duration(),
		Retry:          s.Retry,
		Breaker:        s.CircuitBreaker,
		Validation:     s.Validation,
		Custom:         s.CustomSettings.clone(),
	}
}

func (c Custom) clone() Custom {
	if c.MaxFileSizeMB != nil {
		size := *c.MaxFileSizeMB
		c.MaxFileSizeMB = &size
	}
	c.SupportedEncodings = slices.Clone(c.SupportedEncodings)
	if c.Extra != nil {
		c.Extra, _ = clonePlain(c.Extra).(map[string]any)
	}
	return c
}

// clonePlain copies what encoding/json makes of a value.
func clonePlain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := maps.Clone(v)
		for key := range out {
			out[key] = clonePlain(out[key])
		}
		return out
	case []any:
		out := slices.Clone(v)
		for i := range out {
			out[i] = clonePlain(out[i])
		}
		return out
	}
	return v
}
