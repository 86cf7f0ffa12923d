package job

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/workload/record"
)

// outcome is what a rank came to: rank-N.json.
type outcome struct {
	Rank     int            `json:"rank"`
	Host     string         `json:"host,omitempty"`
	Exit     int            `json:"exit"`
	Verdict  record.Verdict `json:"verdict,omitempty"` // of an even rank, where there is one
	Reason   string         `json:"reason,omitempty"`
	Device   *record.Device `json:"device,omitempty"` // with its peer
	Hit      uint64         `json:"hit_pages"`        // that the verdict is about, such as those that are lost
	Of       uint64         `json:"pages"`            // that were looked at for it
	Evidence string         `json:"evidence,omitempty"`
	Silent   bool           `json:"silent,omitempty"` // it told nothing; rank 0 says so in its place
}

// maxOutcome is more than an outcome takes, in bytes.
const maxOutcome = 1 << 20

// ended is the outcome of this rank.
func (r *rank) ended(of *record.Record, code int, reason string) outcome {
	o := outcome{Rank: r.number, Exit: code, Reason: reason}
	o.Host, _ = os.Hostname() // or it stays unknown
	if of != nil {
		o.Verdict, o.Device, o.Evidence = of.Verdict, &of.Device, folderOf(r.number)
		o.Hit, o.Of, _ = of.Verdict.HitPages(of.Channels)
	}
	return o
}

// failed is the outcome of a rank that did nothing.
func (r *rank) failed(err error) outcome {
	return r.ended(nil, exit.Code(err), exit.Told(err, nil))
}

// tell leaves the outcome for rank 0.
func (r *rank) tell(o outcome) error {
	text, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return err
	}
	return r.dir.Write(folderOf(r.number), outcomeOf(r.number), append(text, '\n'))
}

// read is what a rank has told.
func (r *rank) read(number int) (o outcome, err error) {
	f, err := os.Open(r.dir.Path(outcomeOf(number)))
	if err != nil {
		return o, err
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, maxOutcome)).Decode(&o); err != nil {
		return o, fmt.Errorf("%s: %w", outcomeOf(number), err)
	}
	if o.Rank != number || o.Silent {
		return o, fmt.Errorf("%s is of no such rank", outcomeOf(number))
	}
	return o, nil
}
