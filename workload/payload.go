package workload

import "encoding/binary"

// payload makes the bytes that a run knows it wrote. Each page differs from
// every other page and each generation from the one before, so a stale page
// cannot pass for a fresh one and a misplaced page is noticed.
type payload struct {
	seed     uint64
	pageSize int
	period   uint64 // pages after which the bytes repeat, as a smaller source's do
	fixed    []byte // one period of generation 2, where the holder's bytes are not the run's to choose
}

// newPayload makes one that repeats after so many bytes.
func newPayload(seed uint64, pageSize int, period int64) payload {
	return payload{seed: seed, pageSize: pageSize, period: uint64(period) / uint64(pageSize)}
}

// fill writes the generation's bytes of page number page into dst, which is one
// page long.
func (p payload) fill(dst []byte, generation, page uint64) {
	if generation == 2 && p.fixed != nil {
		copy(dst, p.fixed[page%p.period*uint64(p.pageSize):])
		return
	}
	word := splitmix(p.seed ^ generation<<56 ^ page%p.period)
	for i := 0; i+8 <= len(dst); i += 8 {
		binary.LittleEndian.PutUint64(dst[i:], word)
		word += 0x9e3779b97f4a7c15
	}
}

// fillAll writes the generation's bytes of every page of mem.
func (p payload) fillAll(mem []byte, generation uint64) {
	p.fillFrom(mem, generation, 0)
}

// fillFrom writes the generation's bytes of the pages from first on into mem.
func (p payload) fillFrom(mem []byte, generation, first uint64) {
	for at := 0; at < len(mem); at += p.pageSize {
		p.fill(mem[at:at+p.pageSize], generation, first)
		first++
	}
}

// splitmix is the output function of SplitMix64 (Steele, Lea, Flood: "Fast
// Splittable Pseudorandom Number Generators", 2014): neighbouring inputs give
// unrelated words.
func splitmix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
