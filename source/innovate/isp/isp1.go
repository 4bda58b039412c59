package isp

// How many ISP1 packets in a row make ISP1 known.
const (
	believeAfter = 3
	doubtAfter   = 8 // where ISP2 was heard or may be under way
)

// isp1 is the ISP1 packet that is being read, and those before it that are held
// back until the protocol is known.
type isp1 struct {
	buf   [doubtAfter * isp1Bytes]byte
	used  int // bytes of the packets that are held
	sizes [doubtAfter]uint8
	held  int
	size  int   // bytes of the packet that is being read; 0: none
	begin int64 // of the first of them all

	// usual is the size of the newest packet of a sensor that gives lambda, and
	// of one that does not.
	usual [2]int
}

// forget drops what is held back.
func (o *isp1) forget() { o.used, o.held, o.size = 0, 0, 0 }

func (o *isp1) open() []byte { return o.buf[o.used : o.used+o.size] }

// stepISP1 moves the ISP1 machine by one byte.
func (d *Decoder) stepISP1(b byte, at int64) {
	o := &d.isp1
	if b&0x80 != 0 {
		d.endISP1()
		if b&0x82 == 0x80 {
			if o.held == 0 {
				o.begin = at
			}
			o.buf[o.used] = b
			o.size = 1
			return
		}
	}
	switch {
	case o.size == 0: // an ISP2 header's first byte, or anything else between two packets
		d.brokenISP1(nil)
	case o.size >= 2 && o.size%2 == 0 && !fitsISP1(o.size/2, b):
		if !d.prefixISP1() {
			d.brokenISP1(&d.counters.Malformed.Word)
		}
	default:
		o.buf[o.used+o.size] = b
		if o.size++; o.size == isp1Bytes {
			d.endISP1()
		}
	}
}

// fitsISP1 says whether a byte can begin the word of that number.
func fitsISP1(number int, b byte) bool {
	if number <= 2 {
		return b&0xC0 == 0
	}
	return b&0xF8 == 0
}

// endISP1 ends the packet that is being read, if there is one.
func (d *Decoder) endISP1() {
	o := &d.isp1
	switch {
	case o.size == 0:
	case o.size%2 == 0 && o.size >= isp1Least:
		d.acceptISP1()
	case !d.prefixISP1():
		d.brokenISP1(&d.counters.Malformed.Short)
	}
}

// prefixISP1 takes the first part of what was read for the packet if it has
// the usual size: then it was the next one that lost its first byte.
func (d *Decoder) prefixISP1() bool {
	o := &d.isp1
	if o.size < isp1Least {
		return false
	}
	usual := o.usual[kindISP1(o.open())]
	if d.protocol != ISP1 || usual == 0 || o.size < usual {
		return false
	}
	o.size = usual
	d.acceptISP1()
	d.brokenISP1(&d.counters.Malformed.Header)
	return true
}

func kindISP1(packet []byte) int {
	if packet[0]&0x3C == 0 {
		return 0
	}
	return 1
}

// brokenISP1 says that there is something between two packets.
func (d *Decoder) brokenISP1(reason *uint64) {
	o := &d.isp1
	o.size = 0
	if d.protocol != ISP1 {
		o.forget()
		return
	}
	if reason != nil {
		*reason++
		d.lostSync()
	} else if d.synced {
		d.lostSync()
	}
}

// acceptISP1 takes the packet that has been read: to be emitted if the protocol
// is known to be ISP1, else to be held back.
func (d *Decoder) acceptISP1() {
	o := &d.isp1
	o.sizes[o.held] = uint8(o.size)
	o.held++
	o.used += o.size
	o.size = 0
	need := doubtAfter
	switch {
	case d.protocol == ISP1:
		need = 1
	case d.protocol == Unknown && d.expect != wordHigh && d.expect != wordLow && d.expect != replyByte:
		need = believeAfter
	}
	if o.held < need {
		return
	}
	if d.protocol != ISP1 {
		d.protocol = ISP1
		d.expect, d.size, d.inARow = headerHigh, 0, 0
	}
	at := 0
	for _, size := range o.sizes[:o.held] {
		d.deliverISP1(o.buf[at:at+int(size)], o.begin+int64(at))
		at += int(size)
	}
	o.used, o.held = 0, 0
	d.synced = true
}

func (d *Decoder) deliverISP1(raw []byte, offset int64) {
	d.isp1.usual[kindISP1(raw)] = len(raw)
	p := &d.packet
	s := lm1Sensor(wordAt(raw, 0))
	s.Value = bits13(wordAt(raw, 1))
	p.Aux = d.aux[:0]
	for i := 2; i < len(raw)/2; i++ {
		if i == 2 {
			s.setBattery(wordAt(raw, i))
		} else {
			p.Aux = append(p.Aux, Aux{Value: bits10(wordAt(raw, i)), After: 1})
		}
	}
	p.Protocol, p.Offset, p.Size = ISP1, offset, len(raw)
	p.Recording, p.CanLog, p.Spare, p.Answer, p.Reply = s.Recording, false, false, false, nil
	p.Sensors = append(d.sensors[:0], s)
	d.deliver(len(raw))
}

func wordAt(raw []byte, number int) uint16 {
	return uint16(raw[2*number])<<8 | uint16(raw[2*number+1])
}
