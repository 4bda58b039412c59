// Package isp is the codec of the Innovate serial protocols (PROTOCOLS 2): ISP2
// of LC-1, LC-2, DLG-1, LM-2, SSI-4 and TC-4, chained in any number, and ISP1
// of the LM-1.
//
// Decoder turns a stream of bytes, in pieces of any size, into packets and
// finds its way back at the very byte that breaks a packet. Append makes the
// same bytes again. FlowControl sees when a terminal setting eats bytes.
//
// ISP1 packets have neither a length nor a mark of their own, so that what is
// left of an ISP2 packet that lost its header may look like one. Therefore:
//
//   - A whole ISP2 packet counts at once.
//   - ISP1 packets are held back until several of them follow each other
//     without a byte between: three where nothing is known yet, eight where ISP2
//     was heard before or an ISP2 packet is being read. Then all of them count.
//   - An ISP2 header (two bytes with bit 7 set, which ISP1 never has) starts
//     that count again.
//   - Once ISP1 is known, three whole ISP2 packets in a row end it.
package isp
