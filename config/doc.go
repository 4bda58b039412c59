// Package config is the configuration: one JSON file (the guide's
// config/ingestion.json, unchanged, plus a few keys), the environment and the
// command line's flags.
//
// Config and the structs in it are the schema: their tags say a setting's name,
// default, bounds and meaning; loading, checking, showing, saving and the JSON
// Schema for editors are all derived from them, so a setting is added in one
// place.
//
// Where a value comes from, the later winning: the guide's defaults, a preset,
// the file, the environment, flags. Without a file the preset is live_capture;
// a file may name one with the key "preset" and then says only what differs
// from it. A preset is the base wherever it is named, by a flag too: what the
// file says about the same settings wins.
//
// A source's settings are its entry in data_sources, where what is not given
// there comes from default_retry, default_circuit_breaker and
// default_validation field by field (these stay defaults when the environment
// or a flag sets them). A setting that exists both in data_sources.X and in
// the section X (reconnect_delay_sec) is one setting with two places: the
// section wins over data_sources, but a flag or the environment wins over the
// file in either place.
//
// The environment: JETDRIVE_MCAST_GROUP, JETDRIVE_PORT, JETDRIVE_IFACE, and
// for every setting DYNOTAP_ and its path in capitals with two underscores
// between levels (DYNOTAP_QUEUE__MAX_SIZE=500). Lists are separated by commas
// or written as JSON, channels is a JSON object. A variable that begins with
// DYNOTAP_ and names no setting is an error, except DYNOTAP_SAMPLES and those
// that begin with DYNOTAP_TEST_, which belong to the tests.
package config
