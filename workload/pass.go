package workload

import "iter"

// pass cuts one pass over the target region into messages. Byte b of the target
// comes from byte b modulo source of the source region, so what the target
// holds after a pass is known for any two sizes.
type pass struct {
	size           int   // bytes a message carries at most
	target, source int64 // bytes of the regions
}

// message is a copy of length bytes between the regions.
type message struct {
	from, to int64 // offsets into the source and the target region, in bytes
	length   int
}

func (p pass) messages() iter.Seq[message] {
	return func(yield func(message) bool) {
		for to := int64(0); to < p.target; {
			from := to % p.source
			length := min(int64(p.size), p.target-to, p.source-from)
			if !yield(message{from: from, to: to, length: int(length)}) {
				return
			}
			to += length
		}
	}
}

// count is the number of messages in a pass.
func (p pass) count() int {
	n := 0
	for range p.messages() {
		n++
	}
	return n
}
