package job

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"umemstress/cmd/umemstress/internal/exit"
)

const (
	gatherEvery = 200 * time.Millisecond
	// peerBound is how long peers may take to end, once all runs have: seconds, or they were killed.
	peerBound = 15 * time.Second
)

// gatherAll waits until all ranks have told what they came to, or for as long as that may take.
func (r *rank) gatherAll(ctx context.Context) result {
	told := map[int]outcome{}
	bad := map[int]error{} // what is there, but is no outcome
	deadline := time.Now().Add(r.gather)
	said := false
	for {
		missing := r.missing(told, bad)
		if len(missing) == 0 {
			break
		}
		if !slices.ContainsFunc(missing, func(rank int) bool { return rank%2 == 0 }) {
			deadline = earlier(deadline, time.Now().Add(peerBound))
		} else if !said {
			said = true
			logrus.Infof("waiting for %s, for %v at most", ranks(missing), r.gather)
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(gatherEvery):
		}
	}
	return r.resultOf(told, bad)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// missing reads what was told since, and says who has told nothing yet.
func (r *rank) missing(told map[int]outcome, bad map[int]error) (missing []int) {
	there, err := r.dir.Look()
	for rank := range r.size {
		if _, known := told[rank]; known || bad[rank] != nil {
			continue
		}
		if err != nil || !slices.Contains(there, outcomeOf(rank)) {
			missing = append(missing, rank)
			continue
		}
		if o, err := r.read(rank); err != nil {
			bad[rank] = err
		} else {
			told[rank] = o
		}
	}
	return missing
}

// resultOf is of all ranks, in their order.
func (r *rank) resultOf(told map[int]outcome, bad map[int]error) result {
	all := result{Schema: schema, Ranks: r.size}
	var codes []int
	for rank := range r.size {
		o, known := told[rank]
		if !known {
			o = outcome{Rank: rank, Exit: exit.Failed, Silent: true, Reason: "rank " + strconv.Itoa(rank) + " told nothing: was it killed, or is --gather too short?"}
			if bad[rank] != nil {
				o.Reason = fmt.Sprintf("rank %d told nothing that can be read: %v", rank, bad[rank])
			}
		}
		codes = append(codes, o.Exit)
		all.Outcomes = append(all.Outcomes, o)
	}
	all.Exit = exit.Worst(codes)
	return all
}

// ranks names some.
func ranks(numbers []int) string {
	const most = 16
	var words []string
	for _, n := range numbers[:min(len(numbers), most)] {
		words = append(words, strconv.Itoa(n))
	}
	if len(numbers) > most {
		words = append(words, fmt.Sprintf("and %d more", len(numbers)-most))
	}
	return "ranks " + strings.Join(words, ", ")
}
