package config

import (
	"log/slog"
	"time"
	_ "time/tzdata" // time_zone must be known on Windows too, which has no zone files

	"dynotap/validate"
)

// Seconds is a time in seconds, as the guide's file writes all of them.
type Seconds float64

// Duration is the same time for Go. Every setting is bounded far below what a
// Duration holds.
func (s Seconds) Duration() time.Duration { return time.Duration(float64(s) * float64(time.Second)) }

// Config is the whole configuration with nothing left open: what the user did
// not give holds its default. It is a value to read; to change a setting use
// Loaded.Set, which keeps everything that follows from it in step.
type Config struct {
	Preset string `json:"preset" enum:"high_reliability,low_latency,live_capture" doc:"Values to start from, under what this file says: high_reliability and live_capture keep everything on disk and wait when the queue is full, low_latency keeps the newest in memory and flushes nothing. None: the guide's defaults."`

	GlobalEnabled bool   `json:"global_enabled" default:"true" doc:"Whether any source runs at all."`
	LogLevel      string `json:"log_level" default:"INFO" enum:"DEBUG,INFO,WARNING,ERROR,CRITICAL" doc:"The least urgent messages that are logged."`

	MetricsEnabled     bool    `json:"metrics_enabled" default:"true" doc:"Whether metrics are kept and served."`
	MetricsIntervalSec Seconds `json:"metrics_interval_sec" default:"60" min:"0.1" max:"86400" doc:"Seconds between two lines of statistics in the log."`

	Queue Queue `json:"queue" doc:"The queue between the sources and the store."`

	Retention Retention `json:"retention" doc:"How long what was recorded is kept. By default nothing is deleted."`

	Aggregation Aggregation `json:"aggregation" doc:"Windows that are stored in place of every sample."`

	DefaultRetry          Retry          `json:"default_retry" doc:"How a source that cannot connect tries again; data_sources may differ."`
	DefaultCircuitBreaker CircuitBreaker `json:"default_circuit_breaker" doc:"When to leave a failing source alone for a while; data_sources may differ."`
	DefaultValidation     Validation     `json:"default_validation" doc:"What is checked and what becomes of bad samples; data_sources may differ."`

	Jetdrive Jetdrive `json:"jetdrive" doc:"The JETDRIVE network."`
	Innovate Innovate `json:"innovate" doc:"Innovate widebands on a serial port."`

	DataSources map[string]DataSource `json:"data_sources" doc:"What is particular to one source, under its name."`

	SensorRanges     map[string]SensorRange `json:"sensor_ranges" doc:"Ranges that replace the built-in ones, by canonical channel, in its canonical unit."`
	Channels         map[string]string      `json:"channels" doc:"Your own mapping: a channel's label as the device gives it, and the canonical channel it is."`
	CriticalChannels []string               `json:"critical_channels" doc:"Channels whose values go ahead of everything else (priority CRITICAL), by canonical name or label."`

	Display  Display `json:"display" doc:"How values are shown. Stored values do not change."`
	TimeZone string  `json:"time_zone" default:"Local" format:"time zone" doc:"The zone of times in files that name none, such as Europe/Vienna; Local is this machine's."`
	Server   Server  `json:"server" doc:"The HTTP server."`
}

// Queue is the section queue.
type Queue struct {
	MaxSize          int     `json:"max_size" default:"10000" min:"1" max:"100000000" doc:"Batches the queue holds before it is full."`
	BatchSize        int     `json:"batch_size" default:"100" min:"1" max:"1000000" doc:"Batches delivered to the store at once, at most."`
	FlushIntervalSec Seconds `json:"flush_interval_sec" default:"5" min:"0" max:"3600" doc:"Seconds a batch of normal or lower priority waits for others at most."`
	PersistToDisk    bool    `json:"persist_to_disk" default:"false" doc:"Whether the queue is on disk and survives a crash; otherwise it is in memory."`
	PersistPath      string  `json:"persist_path" format:"path" doc:"The data directory, unless --data names one. Empty: the system's place for a user's data."`
	PriorityEnabled  bool    `json:"priority_enabled" default:"true" doc:"Whether urgent batches overtake others; otherwise first come, first served."`
	DropOnFull       bool    `json:"drop_on_full" default:"true" doc:"Whether a full queue drops something; otherwise the source waits."`
	DropOldest       bool    `json:"drop_oldest" default:"true" doc:"With drop_on_full: drop the oldest of the least urgent batches rather than the newcomer."`
	MaxRetries       int     `json:"max_retries" default:"3" min:"0" max:"1000" doc:"Times a failed delivery is repeated before the batch becomes a dead letter."`
	Workers          int     `json:"workers" default:"1" min:"1" max:"64" doc:"Deliveries made side by side."`
	Fsync            bool    `json:"fsync" default:"true" doc:"Whether what is stored, and with persist_to_disk what is accepted, survives power loss too; costs a disk flush a group."`
}

// Retention is the section retention (DESIGN decision 10).
type Retention struct {
	Days           float64 `json:"days" default:"0" min:"0" max:"36500" doc:"Days after its end that a session is deleted with its runs and samples, and a file after its import, unless one of its runs has a tag, or notes that did not come with the file; 0: never."`
	DeadLetters    int     `json:"dead_letters" default:"10000" min:"0" max:"100000000" doc:"Dead letters that are kept, the newest; 0: all."`
	DeadLetterDays float64 `json:"dead_letter_days" default:"0" min:"0" max:"36500" doc:"Days that a dead letter is kept; 0: for ever."`
}

// Aggregation is the section aggregation (CONFORMANCE A5).
type Aggregation struct {
	WindowMS float64  `json:"window_ms" default:"0" min:"0" max:"60000" doc:"Milliseconds of a window of which one value a channel is stored; 0 stores every sample. The guide's window is 50. Bad samples and critical channels are stored as they come."`
	Mean     []string `json:"mean" doc:"Channels, by canonical name or label, of which the mean of a window is stored; of all others the last value."`
	Min      []string `json:"min" doc:"Channels of which the lowest value of a window is stored."`
	Max      []string `json:"max" doc:"Channels of which the highest value of a window is stored."`
}

// Retry says how an attempt is repeated (CONFORMANCE C2).
type Retry struct {
	MaxAttempts            int     `json:"max_attempts" default:"3" min:"1" max:"1000000" doc:"Attempts in all, the first included."`
	InitialDelaySec        Seconds `json:"initial_delay_sec" default:"0.1" min:"0" max:"3600" doc:"Seconds before the second attempt."`
	MaxDelaySec            Seconds `json:"max_delay_sec" default:"30" min:"0" max:"86400" doc:"Seconds between two attempts at most, jitter included."`
	ExponentialBase        float64 `json:"exponential_base" default:"2" min:"1" max:"100" doc:"What the delay is multiplied by after each attempt."`
	Jitter                 bool    `json:"jitter" default:"true" doc:"Whether delays vary at random, so that several cells do not knock together."`
	RetryOnTimeout         bool    `json:"retry_on_timeout" default:"true" doc:"Whether a timeout is worth another attempt."`
	RetryOnConnectionError bool    `json:"retry_on_connection_error" default:"true" doc:"Whether a failed connection is worth another attempt."`
}

// CircuitBreaker says when attempts pause (CONFORMANCE C3).
type CircuitBreaker struct {
	FailureThreshold int     `json:"failure_threshold" default:"5" min:"1" max:"1000000" doc:"Failures in a row that open the breaker."`
	SuccessThreshold int     `json:"success_threshold" default:"2" min:"1" max:"1000000" doc:"Successes that close it again."`
	TimeoutSec       Seconds `json:"timeout_sec" default:"60" min:"0" max:"86400" doc:"Seconds it stays open before attempts are let through on trial."`
	HalfOpenMaxCalls int     `json:"half_open_max_calls" default:"3" min:"1" max:"1000000" doc:"Trial attempts at one time."`
	Enabled          bool    `json:"enabled" default:"true" doc:"Whether the breaker opens at all."`
}

// Validation says what is checked and what becomes of bad samples
// (CONFORMANCE V5). It converts to validate.Settings.
type Validation struct {
	Enabled             bool `json:"enabled" default:"true" doc:"Whether samples are checked; otherwise all pass untouched."`
	StrictMode          bool `json:"strict_mode" default:"false" doc:"Whether everything that is not good is rejected, warnings included."`
	MaxValidationErrors int  `json:"max_validation_errors" default:"100" min:"0" max:"1000000" doc:"Errors kept for reading; all are counted."`
	SanitizeValues      bool `json:"sanitize_values" default:"true" doc:"Whether values are trimmed and coerced before they are checked."`
	RejectNaN           bool `json:"reject_nan" default:"true" doc:"Whether a sample that is not a number is dropped, rather than kept as bad."`
	RejectInf           bool `json:"reject_inf" default:"true" doc:"Whether an infinite sample is dropped, rather than kept as bad."`
	RejectOutOfRange    bool `json:"reject_out_of_range" default:"false" doc:"Whether a sample outside its range is dropped, rather than kept as bad."`
	LogWarnings         bool `json:"log_warnings" default:"true" doc:"Whether warnings are logged, a few a second at most."`
}

// Jetdrive is the section jetdrive.
type Jetdrive struct {
	MulticastGroup      string   `json:"multicast_group" default:"224.0.2.10" format:"multicast group" doc:"The network's multicast group, as set in Power Core."`
	Port                int      `json:"port" default:"22344" min:"1" max:"65535" doc:"The network's UDP port."`
	Interface           string   `json:"interface" default:"0.0.0.0" format:"interface" doc:"The network interface by address or name; 0.0.0.0 leaves the choice to the system."`
	DiscoveryTimeoutSec Seconds  `json:"discovery_timeout_sec" default:"3" min:"0.01" max:"3600" doc:"Seconds spent looking for providers."`
	SubscribeTimeoutSec Seconds  `json:"subscribe_timeout_sec" default:"0.5" min:"0.001" max:"3600" doc:"Seconds to wait for a provider's answer to a question for its channels."`
	ChannelFilter       []string `json:"channel_filter" doc:"Only these channels, by label; none: all of them."`
	ProviderFilter      []string `json:"provider_filter" doc:"Only these providers, by name or host id; none: all of them."`
	Transmit            bool     `json:"transmit" default:"true" doc:"Whether to ask for clocks and channel names; otherwise the program only listens."`
	AutoReconnect       bool     `json:"auto_reconnect" default:"true" doc:"Whether to try again for ever, after all attempts have failed."`
	ReconnectDelaySec   Seconds  `json:"reconnect_delay_sec" default:"5" min:"0" max:"86400" doc:"Seconds before that."`
}

// Innovate is the section innovate.
type Innovate struct {
	Port              string  `json:"port" nullable:"true" format:"text" doc:"The serial port, such as COM5 or /dev/ttyUSB0; null: look for it."`
	Baudrate          int     `json:"baudrate" default:"19200" min:"300" max:"4000000" doc:"Bits a second; 19200 is what the devices speak."`
	DeviceType        string  `json:"device_type" default:"AUTO" enum:"AUTO,DLG-1,LC-1,LC-2,LM-1,LM-2" doc:"The device; AUTO listens and decides."`
	Channels          []int   `json:"channels" default:"1,2" min:"1" max:"32" doc:"The sensors of the chain that are read, counted from 1."`
	AutoDetectPort    bool    `json:"auto_detect_port" default:"true" doc:"Whether to look for the device on all serial ports when port is null."`
	AutoReconnect     bool    `json:"auto_reconnect" default:"true" doc:"Whether to try again for ever, after all attempts have failed."`
	ReconnectDelaySec Seconds `json:"reconnect_delay_sec" default:"3" min:"0" max:"86400" doc:"Seconds before that."`
	ReadIntervalSec   Seconds `json:"read_interval_sec" default:"0.08" min:"0.001" max:"60" doc:"Seconds between two looks at the port; a device sends every 0.08192 s."`
	BufferSize        int     `json:"buffer_size" default:"1024" min:"1" max:"16777216" doc:"Bytes kept between the port and the decoder."`

	Sensors map[string]Sensor `json:"sensors" doc:"What is known of single sensors, by their number in the chain."`
}

// Sensor is one entry of innovate.sensors. What is nil was not given and is as
// the device says it.
type Sensor struct {
	Place          *string  `json:"place" enum:"front,rear" doc:"The cylinder it sits at: its AFR is the channel afr_front or afr_rear."`
	Multiplier     *float64 `json:"multiplier" min:"0.1" max:"10" doc:"What the AFR is multiplied by; not given: 1."`
	Offset         *float64 `json:"offset" min:"-10" max:"10" doc:"What is then added to the AFR; not given: 0."`
	Stoichiometric *float64 `json:"stoichiometric" min:"1" max:"50" doc:"The AFR of lambda 1 with the fuel in use, such as 14.7 for petrol or 9 for E85; not given: what the device is set to."`
}

// DataSource is one entry of data_sources, what it inherits filled in.
type DataSource struct {
	Name                 string         `json:"name" format:"text" doc:"The source's name once more; it must be the one it stands under."`
	Enabled              bool           `json:"enabled" default:"true" doc:"Whether the source runs."`
	ConnectionTimeoutSec Seconds        `json:"connection_timeout_sec" default:"5" min:"0.001" max:"3600" doc:"Seconds one attempt to open the source may take."`
	ReadTimeoutSec       Seconds        `json:"read_timeout_sec" default:"1" min:"0.001" max:"3600" doc:"Seconds one read may take."`
	BufferSize           int            `json:"buffer_size" default:"4096" min:"1" max:"16777216" doc:"What is kept between reading and decoding: datagrams for jetdrive, bytes for others."`
	AutoReconnect        bool           `json:"auto_reconnect" default:"true" doc:"Whether to try again for ever, after all attempts have failed."`
	ReconnectDelaySec    Seconds        `json:"reconnect_delay_sec" default:"5" min:"0" max:"86400" doc:"Seconds before that."`
	Retry                Retry          `json:"retry" doc:"As default_retry, for this source."`
	CircuitBreaker       CircuitBreaker `json:"circuit_breaker" doc:"As default_circuit_breaker, for this source."`
	Validation           Validation     `json:"validation" doc:"As default_validation, for this source."`
	CustomSettings       Custom         `json:"custom_settings" doc:"What only some sources have."`
}

// Custom is custom_settings: of a source of ours the keys that do something
// there (tag only), of a source of somebody else's these and any others.
type Custom struct {
	StaleDataThresholdSec   Seconds  `json:"stale_data_threshold_sec" default:"5" min:"0.001" max:"86400" only:"jetdrive,innovate" doc:"Seconds without data after which a source or channel is stale."`
	MaxFrameDropRatePercent float64  `json:"max_frame_drop_rate_percent" default:"5" min:"0" max:"100" only:"jetdrive" doc:"Per cent of a provider's frames that may be lost before the source is reported as lossy."`
	WarmupTimeoutSec        Seconds  `json:"warmup_timeout_sec" default:"30" min:"0" max:"3600" only:"innovate" doc:"Seconds a sensor may warm up before that is reported."`
	FreeAirAFRThreshold     float64  `json:"free_air_afr_threshold" default:"28" min:"6" max:"100" only:"innovate" doc:"AFR above which a sensor is taken to be in free air."`
	MaxFileSizeMB           *float64 `json:"max_file_size_mb" min:"0.001" max:"10000000" only:"csv,winpep,powervision,jetdrivelog,wp8,pcap,mlg,msl,haltech" doc:"Megabytes a file may have; no limit where it is not given."`
	SupportedEncodings      []string `json:"supported_encodings" enum:"utf-8,utf-16,cp1252,latin-1" only:"csv,winpep,powervision,jetdrivelog,msl,haltech" doc:"Encodings a file may have; any that is recognised where it is not given."`

	// Extra holds the settings of a source that is not one of ours, as
	// encoding/json gives them.
	Extra map[string]any `json:"-"`
}

// SensorRange is one entry of sensor_ranges, in the channel's canonical unit.
// What is nil was not given and stays as built in. It converts to
// validate.Range.
type SensorRange struct {
	Min     *float64 `json:"min" min:"-1e9" max:"1e9" doc:"Values below are bad."`
	Max     *float64 `json:"max" min:"-1e9" max:"1e9" doc:"Values above are bad."`
	WarnMin *float64 `json:"warn_min" min:"-1e9" max:"1e9" doc:"Values below are suspect."`
	WarnMax *float64 `json:"warn_max" min:"-1e9" max:"1e9" doc:"Values above are suspect."`
}

// Display is the section display.
type Display struct {
	Units string `json:"units" default:"us" enum:"us,metric" doc:"The units in which values are shown and exported."`
}

// Server is the section server.
type Server struct {
	Listen string   `json:"listen" default:"127.0.0.1:8686" format:"listen address" doc:"Address and port of the HTTP server. One that other machines reach needs a token."`
	Hosts  []string `json:"hosts" doc:"Names under which clients reach the server, such as dyno.shop.lan, besides its addresses, this machine's own name and that with .local."`
	Token  string   `json:"token" secret:"true" format:"token" doc:"What clients must present. Needed unless the server listens on this machine only."`
}

// Ranges are the built-in sensor ranges with sensor_ranges over them. It fails
// only where the values were never checked.
func (c *Config) Ranges() (validate.Ranges, error) {
	over := make(validate.Ranges, len(c.SensorRanges))
	for name, r := range c.SensorRanges {
		over[name] = validate.Range(r)
	}
	return validate.DefaultRanges().Override(over)
}

// Level is log_level for package slog. CRITICAL lies one step above error.
func (c *Config) Level() slog.Level {
	switch c.LogLevel {
	case "DEBUG":
		return slog.LevelDebug
	case "WARNING":
		return slog.LevelWarn
	case "ERROR":
		return slog.LevelError
	case "CRITICAL":
		return slog.LevelError + 4
	}
	return slog.LevelInfo
}

// Location is time_zone. It fails only where the value was never checked.
func (c *Config) Location() (*time.Location, error) { return time.LoadLocation(c.TimeZone) }
