package payload

import "fmt"

// Recipe is what makes a generation of a payload again, also on another host.
type Recipe struct {
	Seed        uint64 `json:"seed"`
	PageBytes   int    `json:"page_bytes"`
	PeriodPages uint64 `json:"period_pages"`
	Generation  uint64 `json:"generation"`
}

// Recipe is that of a generation whose bytes are the run's to choose.
func (p Payload) Recipe(generation uint64) Recipe {
	return Recipe{Seed: p.seed, PageBytes: p.PageSize, PeriodPages: p.period, Generation: generation}
}

// maxPageBytes is more than a page of any machine has.
const maxPageBytes = 1 << 21

// Fill writes the bytes into mem, which is whole pages long.
func (r Recipe) Fill(mem []byte) error {
	if r.PageBytes < 1 || r.PageBytes > maxPageBytes || r.PeriodPages < 1 || len(mem)%r.PageBytes != 0 {
		return fmt.Errorf("%+v fills no region of %d bytes", r, len(mem))
	}
	Payload{seed: r.Seed, PageSize: r.PageBytes, period: r.PeriodPages}.FillAll(mem, r.Generation)
	return nil
}
