package isp

// Counters say what a Decoder has made of its stream.
type Counters struct {
	Bytes   uint64 `json:"bytes"`
	Packets uint64 `json:"packets"` // intact ones, answers to commands included
	// Resyncs is how often the decoder had to look for the next packet after
	// it had found its first.
	Resyncs uint64 `json:"resyncs"`
	// BytesSkipped belong to no packet. What may still become one is not
	// counted yet.
	BytesSkipped uint64    `json:"bytes_skipped"`
	Malformed    Malformed `json:"malformed"`
	// Truncated is how many ISP2 packets had the next header before their end:
	// bytes of them are missing.
	Truncated uint64 `json:"truncated"`
}

// Add adds the counts of another stream.
func (c *Counters) Add(o Counters) {
	c.Bytes += o.Bytes
	c.Packets += o.Packets
	c.Resyncs += o.Resyncs
	c.BytesSkipped += o.BytesSkipped
	c.Truncated += o.Truncated
	c.Malformed.Header += o.Malformed.Header
	c.Malformed.Short += o.Malformed.Short
	c.Malformed.Word += o.Malformed.Word
	c.Malformed.Cut += o.Malformed.Cut
	c.Malformed.Empty += o.Malformed.Empty
}

// Malformed counts broken packets by what is wrong with them.
type Malformed struct {
	Header uint64 `json:"header"` // a header's first byte alone
	Short  uint64 `json:"short"`  // a set bit 7 where none may be: bytes are missing
	Word   uint64 `json:"word"`   // a word that has no meaning where it stands
	Cut    uint64 `json:"cut"`    // the length ends inside a sub-packet
	Empty  uint64 `json:"empty"`  // sensor data without any
}

// Total is Malformed in one number.
func (m Malformed) Total() uint64 { return m.Header + m.Short + m.Word + m.Cut + m.Empty }

// expected is what the next byte of an ISP2 stream has to be.
type expected uint8

const (
	headerHigh expected = iota // of a packet; anything else is skipped
	headerLow
	wordHigh
	wordLow
	replyByte
)

// word is the meaning of a 16-bit word of a packet.
type word uint8

const (
	noWord word = iota
	lcWord
	lm1Word
	lambdaWord
	batteryWord
	auxWord
)

// switchAfter is how many whole ISP2 packets in a row end ISP1.
const switchAfter = 3

// Decoder finds the packets in a stream of bytes. The zero value is ready. It
// allocates nothing, and is not safe for concurrent use.
type Decoder struct {
	counters Counters
	taken    uint64 // bytes of intact packets
	protocol Protocol
	synced   bool // the newest byte ended a packet, or nothing was missing since
	inARow   int  // whole ISP2 packets, while the protocol is ISP1
	emit     func(*Packet)

	// The ISP2 packet that is being read.
	expect expected
	buf    [maxBytes]byte
	size   int // bytes in buf
	whole  int // bytes it will have
	begin  int64
	due    int64 // where the newest header says that its packet ends
	word   word  // the one that is being read
	before word  // the one before it

	isp1    isp1
	packet  Packet
	sensors [maxWords / 2]Sensor
	aux     [maxWords]Aux
}

// Feed takes the next bytes of the stream and calls emit for each packet that
// they complete. The packet, and what it points to, is used again when emit has
// returned.
func (d *Decoder) Feed(chunk []byte, emit func(*Packet)) {
	d.emit = emit
	for _, b := range chunk {
		at := int64(d.counters.Bytes)
		d.counters.Bytes++
		d.step(b, at)
		if d.protocol == ISP1 || d.isp1.size != 0 || d.isp1.held != 0 || b&0x82 == 0x80 {
			d.stepISP1(b, at)
		}
	}
	d.emit = nil
}

// Flush says that the stream pauses: it emits the ISP1 packet
// whose end nothing but the next one would show.
func (d *Decoder) Flush(emit func(*Packet)) {
	d.emit = emit
	d.endISP1()
	d.emit = nil
}

// End says that the stream has ended: what is under way is given up, and where
// that hid a packet, it is found.
func (d *Decoder) End(emit func(*Packet)) {
	d.Flush(emit)
	d.emit = emit
	for d.size > 0 {
		given, begin, size := d.buf, d.begin, d.size
		d.expect, d.size = headerHigh, 0
		d.retry(given[:size], begin)
	}
	d.isp1.forget()
	d.emit = nil
}

// Protocol is what the stream speaks, as far as it is known.
func (d *Decoder) Protocol() Protocol { return d.protocol }

// Pending reports whether Flush may have something to emit.
func (d *Decoder) Pending() bool { return d.isp1.size > 0 }

// Counters gives the counts at this moment.
func (d *Decoder) Counters() Counters {
	c := d.counters
	pending := d.size
	if d.protocol == ISP1 || d.isp1.held > 0 {
		pending = d.isp1.used + d.isp1.size
	}
	c.BytesSkipped = c.Bytes - d.taken - uint64(pending)
	return c
}

// step moves the ISP2 machine by one byte, which is at the given offset.
func (d *Decoder) step(b byte, at int64) {
	switch d.expect {
	case headerHigh:
		if b&0xA2 == 0xA2 {
			d.start(b, at)
			return
		}
		d.inARow = 0
		if d.synced && d.protocol == ISP2 {
			d.lostSync()
		}
	case headerLow:
		d.header(b, at)
	case wordHigh:
		kind := d.kindOf(b)
		switch {
		case kind == noWord && b&0x80 != 0:
			d.fail(&d.counters.Malformed.Short, b, at)
		case kind == noWord:
			d.fail(&d.counters.Malformed.Word, b, at)
		case (kind == lcWord || kind == lm1Word) && d.size+4 > d.whole:
			d.fail(&d.counters.Malformed.Cut, b, at)
		default:
			d.word, d.expect = kind, wordLow
			d.keep(b)
		}
	case wordLow:
		if b&0x80 != 0 {
			d.fail(&d.counters.Malformed.Short, b, at)
			return
		}
		d.keep(b)
		d.takeWord()
		d.expect = wordHigh
		if d.size == d.whole {
			d.complete()
		}
	case replyByte:
		if b&0x80 != 0 {
			d.fail(&d.counters.Malformed.Short, b, at)
			return
		}
		d.keep(b)
		if d.size == d.whole {
			d.complete()
		}
	}
}

func (d *Decoder) keep(b byte) {
	d.buf[d.size] = b
	d.size++
}

func (d *Decoder) start(b byte, at int64) {
	d.begin, d.size = at, 0
	d.keep(b)
	d.expect = headerLow
}

// header takes the second byte of a header.
func (d *Decoder) header(b byte, at int64) {
	words := int(d.buf[0]&0x01)<<7 | int(b&0x7F)
	answer := d.buf[0]&0x10 == 0
	switch {
	case b&0x80 == 0:
		d.fail(&d.counters.Malformed.Header, b, at)
		return
	case words == 0 && !answer:
		d.keep(b)
		d.drop(&d.counters.Malformed.Empty)
		return
	}
	d.keep(b)
	d.whole = 2 + 2*words
	if d.begin < d.due && d.protocol != ISP1 {
		d.counters.Truncated++
	}
	d.due = d.begin + int64(d.whole)
	p := &d.packet
	p.Protocol, p.Offset, p.Size = ISP2, d.begin, d.whole
	p.Recording, p.CanLog, p.Spare, p.Answer = d.buf[0]&0x40 != 0, d.buf[0]&0x08 != 0, d.buf[0]&0x04 != 0, answer
	p.Sensors, p.Aux, p.Reply = d.sensors[:0], d.aux[:0], nil
	d.before, d.expect = noWord, wordHigh
	if answer {
		d.expect = replyByte
		if words == 0 {
			d.complete()
		}
	}
}

// kindOf tells by its first byte what a word is.
func (d *Decoder) kindOf(b byte) word {
	switch {
	case d.before == lcWord || d.before == lm1Word:
		if b&0xC0 == 0 {
			return lambdaWord
		}
	case b&0xE2 == 0x42:
		return lcWord
	case b&0x82 == 0x80:
		return lm1Word
	case b&0xF8 == 0:
		return auxWord
	case b&0xC0 == 0 && d.before == lambdaWord && d.packet.Sensors[len(d.packet.Sensors)-1].LM1:
		// Without a multiplier it could be no battery, and is an aux word.
		return batteryWord
	}
	return noWord
}

// takeWord puts the word that has just been read into the packet.
func (d *Decoder) takeWord() {
	p := &d.packet
	w := uint16(d.buf[d.size-2])<<8 | uint16(d.buf[d.size-1])
	switch d.word {
	case lcWord:
		p.Sensors = append(p.Sensors, lcSensor(w))
	case lm1Word:
		p.Sensors = append(p.Sensors, lm1Sensor(w))
	case lambdaWord:
		p.Sensors[len(p.Sensors)-1].Value = bits13(w)
	case batteryWord:
		p.Sensors[len(p.Sensors)-1].setBattery(w)
	case auxWord:
		p.Aux = append(p.Aux, Aux{Value: bits10(w), After: uint8(len(p.Sensors))})
	case noWord:
	}
	d.before = d.word
}

// complete ends a whole ISP2 packet.
func (d *Decoder) complete() {
	size := d.size
	if d.packet.Answer {
		d.packet.Reply = d.buf[2:size]
	}
	d.expect, d.size, d.due = headerHigh, 0, 0
	if d.protocol == ISP1 {
		if d.inARow++; d.inARow < switchAfter {
			return
		}
	}
	d.inARow = 0
	before := d.protocol
	d.protocol, d.synced = ISP2, true
	d.isp1.forget()
	if before == ISP1 { // what ended it overlaps with what ISP1 made of it
		d.isp1.usual = [2]int{}
		return
	}
	d.deliver(size)
}

func (d *Decoder) deliver(size int) {
	d.taken += uint64(size)
	d.counters.Packets++
	d.emit(&d.packet)
}

// lostSync counts that the next packet has to be looked for.
func (d *Decoder) lostSync() {
	d.synced = false
	d.counters.Resyncs++
}

// drop gives up the ISP2 packet that is being read.
func (d *Decoder) drop(reason *uint64) {
	d.expect, d.size, d.inARow = headerHigh, 0, 0
	if d.protocol != ISP1 {
		*reason++
		d.lostSync()
	}
}

// fail gives up the packet over byte b and looks for the next one from b on.
func (d *Decoder) fail(reason *uint64, b byte, at int64) {
	again, begin, size := d.buf, d.begin, d.size
	d.drop(reason)
	d.retry(again[:size], begin)
	d.step(b, at)
}

// retry looks for a packet in what was given up. The header's second byte may
// have been the first of the true header; no byte after it that was accepted
// can have been one.
func (d *Decoder) retry(given []byte, begin int64) {
	if len(given) < 2 || given[1]&0xA2 != 0xA2 {
		return
	}
	for i, b := range given[1:] {
		d.step(b, begin+1+int64(i))
	}
}
