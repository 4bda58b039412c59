package db

import "encoding/binary"

// mend undoes the damage of a single byte and reports whether the page agrees
// with its sum then.
func mend(page []byte) bool {
	le, sum := binary.LittleEndian, pageSum(page)
	body, stored := page[:len(page)-sumSize], page[len(page)-sumSize:]
	above := walSum{le.Uint32(stored) - le.Uint32(sum[:]), le.Uint32(stored[4:]) - le.Uint32(sum[4:])}
	places, at, right := explain(body, le, above)
	if places != 1 || above[0] == 0 || above[1] == 0 { // there the sum itself may have been hit
		return false
	}
	le.PutUint32(body[at:], right)
	return true
}

// explain finds the byte that accounts for what a stored sum is above the
// computed one: in how many places it may be, and what the word at one of them
// was. Pages and the WAL sum words alike, in pairs: each word adds a multiple
// of itself, which differs from place to place, so that mostly one byte at one
// place explains both numbers; where the high bits of a word were hit several
// may. Damage of many bytes passes for that of one about once in 10^13 times.
func explain(body []byte, order binary.ByteOrder, above walSum) (places, at int, right uint32) {
	second, first := walSum{0, 1}, walSum{1, 1} // what the words of the last pair add
	for pair := len(body) - 8; pair >= 0; pair -= 8 {
		for word, factor := range [2]walSum{first, second} {
			was := order.Uint32(body[pair+4*word:])
			if by, ok := quotient(above, factor); ok && oneByte(was^(was+by)) {
				places++
				at, right = pair+4*word, was+by
			}
		}
		second, first = earlier(second), earlier(first)
	}
	return places, at, right
}

// earlier is what a word adds that lies one pair before.
func earlier(factor walSum) walSum {
	return walSum{factor[0] + factor[1], factor[0] + 2*factor[1]}
}

// quotient is the number that gives both products, if there is one. Of two
// factors next to each other in such a row one is odd.
func quotient(product, factor walSum) (by uint32, ok bool) {
	f, p := factor[0], product[0]
	if f%2 == 0 {
		f, p = factor[1], product[1]
	}
	inverse := f // right in its lowest 3 bits; each round doubles them
	for range 4 {
		inverse *= 2 - f*inverse
	}
	by = p * inverse
	return by, factor[0]*by == product[0] && factor[1]*by == product[1]
}

// oneByte reports whether no more than one byte is not zero.
func oneByte(x uint32) bool {
	for mask := uint32(0xff); mask != 0; mask <<= 8 {
		if x&^mask == 0 {
			return true
		}
	}
	return false
}
