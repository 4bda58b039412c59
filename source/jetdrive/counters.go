package jetdrive

// Counters are what came of the datagrams of one provider, or of all.
type Counters struct {
	Datagrams uint64 `json:"datagrams"`
	// Values are the samples received: after duplicates, without what the
	// filters leave out and what was refused.
	Values   uint64 `json:"values"`
	Filtered uint64 `json:"filtered"` // values of channels and providers that are not wanted
	Refused  uint64 `json:"refused"`  // values beyond 8,192 channels of a provider

	Lost      uint64 `json:"lost"`
	Reordered uint64 `json:"reordered"`
	Duplicate uint64 `json:"duplicate"`

	UnknownKeys uint64    `json:"unknown_keys"` // messages of no known type
	Malformed   Malformed `json:"malformed"`
	Ignored     Ignored   `json:"ignored"`
}

// Malformed counts datagrams that break PROTOCOLS 1.1.
type Malformed struct {
	Header    uint64 `json:"header"`    // shorter than a header
	Truncated uint64 `json:"truncated"` // end inside the value
	Value     uint64 `json:"value"`     // value too short for its type
	Partial   uint64 `json:"partial"`   // a partial record at the end; the whole ones were used
	Panic     uint64 `json:"panic"`     // the decoder failed over them
}

// Ignored counts datagrams that are well formed and not for us.
type Ignored struct {
	Echo         uint64 `json:"echo"`         // sent by this program
	IllegalHost  uint64 `json:"illegal_host"` // from source 0xFFFF
	Unclaimed    uint64 `json:"unclaimed"`    // from source 0, not a ping
	Others       uint64 `json:"others"`       // values, pings and pongs addressed to other hosts
	Incompatible uint64 `json:"incompatible"` // from a host of protocol version 10 or more
	TooManyHosts uint64 `json:"too_many_hosts"`
}

func (c *Counters) add(o Counters) {
	c.Datagrams += o.Datagrams
	c.Values += o.Values
	c.Filtered += o.Filtered
	c.Refused += o.Refused
	c.Lost += o.Lost
	c.Reordered += o.Reordered
	c.Duplicate += o.Duplicate
	c.UnknownKeys += o.UnknownKeys
	c.Malformed.Header += o.Malformed.Header
	c.Malformed.Truncated += o.Malformed.Truncated
	c.Malformed.Value += o.Malformed.Value
	c.Malformed.Partial += o.Malformed.Partial
	c.Malformed.Panic += o.Malformed.Panic
	c.Ignored.Echo += o.Ignored.Echo
	c.Ignored.IllegalHost += o.Ignored.IllegalHost
	c.Ignored.Unclaimed += o.Ignored.Unclaimed
	c.Ignored.Others += o.Ignored.Others
	c.Ignored.Incompatible += o.Ignored.Incompatible
	c.Ignored.TooManyHosts += o.Ignored.TooManyHosts
}

// Total is Malformed in one number.
func (m Malformed) Total() uint64 { return m.Header + m.Truncated + m.Value + m.Partial + m.Panic }
