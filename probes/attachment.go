package probes

import "fmt"

// Method is a way to put a program on a kernel function.
type Method string

// The methods, cheapest per call first. That is the order in which they are
// tried, unless the kernel preempts: then fentry, which misses calls, is the last.
// A raw tracepoint is its own kind of place and has no alternative.
const (
	Fentry        Method = "fentry"
	KprobeMulti   Method = "kprobe-multi"
	Kprobe        Method = "kprobe"
	RawTracepoint Method = "raw-tracepoint"
)

// An Attachment tells how one hook was attached, or why not.
type Attachment struct {
	Purpose  string   `json:"purpose"`
	Required bool     `json:"required"`
	Symbol   string   `json:"symbol,omitempty"` // empty: not attached
	Method   Method   `json:"method,omitempty"`
	Without  string   `json:"without,omitempty"` // what is not seen: nothing, if attached at the best place
	Denied   []Denial `json:"denied,omitempty"`  // what was tried before
}

// Attached tells whether the hook is in place.
func (a Attachment) Attached() bool { return a.Symbol != "" }

// A Denial is an attempt that failed.
type Denial struct {
	Symbol string `json:"symbol"`
	Method Method `json:"method,omitempty"` // empty: none was worth trying
	Reason string `json:"reason"`
}

func (d Denial) String() string {
	if d.Method == "" {
		return fmt.Sprintf("%s: %s", d.Symbol, d.Reason)
	}
	return fmt.Sprintf("%s on %s: %s", d.Method, d.Symbol, d.Reason)
}
