package workload

import "iter"

// pass cuts one pass over the target region into messages. Byte b of the target
// comes from byte b modulo source of the source region, so what the target
// holds after a pass is known for any two sizes.
type pass struct {
	Size           int   // bytes a message carries at most
	Target, Source int64 // bytes of the regions
}

// message is a copy of length bytes between the regions.
type message struct {
	From, To int64 // offsets into the source and the target region, in bytes
	Length   int
}

// Messages are those of the pass, in the order of the target.
func (p pass) Messages() iter.Seq[message] {
	return func(yield func(message) bool) {
		for to := int64(0); to < p.Target; {
			from := to % p.Source
			length := min(int64(p.Size), p.Target-to, p.Source-from)
			if !yield(message{From: from, To: to, Length: int(length)}) {
				return
			}
			to += length
		}
	}
}

// Count is the number of messages in a pass.
func (p pass) Count() int {
	n := 0
	for range p.Messages() {
		n++
	}
	return n
}
