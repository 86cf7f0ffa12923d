// Package payload makes the bytes that a run writes, and finds them again: page by page,
// generation by generation.
package payload

import "encoding/binary"

// Payload makes the bytes that a run knows it wrote. Each page differs from
// every other page and each generation from the one before, so a stale page
// cannot pass for a fresh one and a misplaced page is noticed.
type Payload struct {
	seed     uint64
	PageSize int
	period   uint64 // pages after which the bytes repeat, as a smaller source's do
	blank    bool   // all bytes of all generations are zero
	Content  []byte // whole pages of generation 2, over and over, where the holder's bytes are not the run's to choose
}

// New makes one that repeats after so many bytes.
func New(seed uint64, pageSize int, period int64) Payload {
	return Payload{seed: seed, PageSize: pageSize, period: uint64(period) / uint64(pageSize)}
}

// Blank is what a hole holds.
func Blank(pageSize int) Payload { return Payload{PageSize: pageSize, period: 1, blank: true} }

// fill writes the generation's bytes of page number page into dst, which is one
// page long.
func (p Payload) fill(dst []byte, generation, page uint64) {
	if p.blank {
		clear(dst)
		return
	}
	if generation == 2 && p.Content != nil {
		copy(dst, p.Content[page%uint64(len(p.Content)/p.PageSize)*uint64(p.PageSize):])
		return
	}
	word := splitmix(p.seed ^ generation<<56 ^ page%p.period)
	for i := 0; i+8 <= len(dst); i += 8 {
		binary.LittleEndian.PutUint64(dst[i:], word)
		word += 0x9e3779b97f4a7c15
	}
}

// FillAll writes the generation's bytes of every page of mem.
func (p Payload) FillAll(mem []byte, generation uint64) {
	p.FillFrom(mem, generation, 0)
}

// FillFrom writes the generation's bytes of the pages from first on into mem.
func (p Payload) FillFrom(mem []byte, generation, first uint64) {
	for at := 0; at < len(mem); at += p.PageSize {
		p.fill(mem[at:at+p.PageSize], generation, first)
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
