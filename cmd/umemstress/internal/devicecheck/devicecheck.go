// Package devicecheck answers one question: does an RDMA device do all that a run asks of it?
// It goes through every object and operation, in seconds, and says which step failed and why.
// Nothing of it needs a file.
package devicecheck

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/rdma"
)

// Schema names the form of a Document in JSON. Its fields are not renamed within a version.
const Schema = "umemstress.device-check/v1"

// Config says what is tried.
type Config struct {
	Device   string       // empty: the first with an active port
	Backend  rdma.Backend // how verbs reach it
	Port     int          // from 1; 0: the first active one
	GIDIndex int          // into the port's table, or rdma.AutoGID
	Tool     string       // the version of this program
}

// State is how a step went.
type State string

// Skipped is a step that stands on one that failed, and Absent one that the device does not do and that no
// run asks for which is not told to.
const (
	OK      State = "ok"
	Failed  State = "failed"
	Skipped State = "skipped"
	Absent  State = "absent"
)

// Step is one thing that was tried.
type Step struct {
	Name    string  `json:"name"`
	State   State   `json:"state"`
	Detail  string  `json:"detail"` // what was seen, or what failed with its remedy
	Seconds float64 `json:"seconds"`
	Errno   string  `json:"errno,omitempty"`
	// Of a request that failed: its status (enum ib_wc_status, ib_verbs.h) and what the device's
	// vendor says of it, the syndrome.
	Status    uint32 `json:"status,omitempty"`
	VendorErr uint32 `json:"vendor_err,omitempty"`
	HostLacks bool   `json:"host_lacks,omitempty"` // it is this host's to mend
}

// Document is everything that was seen.
type Document struct {
	Schema  string `json:"schema"`
	Tool    string `json:"tool"`
	Started string `json:"started"` // RFC 3339
	Facts   Facts  `json:"facts"`
	Steps   []Step `json:"steps"`
}

// Works says whether every step went well.
func (d Document) Works() bool { return d.failed() == nil }

// HostLacks says whether what failed is this host's to mend.
func (d Document) HostLacks() bool {
	failed := d.failed()
	return failed != nil && failed.HostLacks
}

func (d Document) failed() *Step {
	for i := range d.Steps {
		if d.Steps[i].State == Failed {
			return &d.Steps[i]
		}
	}
	return nil
}

// Run goes through the steps. One that fails has the others skipped; what was made is closed,
// which is the last step.
func Run(ctx context.Context, c Config) Document {
	d := Document{Schema: Schema, Tool: c.Tool, Started: time.Now().Format(time.RFC3339)}
	tour := &tour{config: c}
	for _, s := range tour.steps() {
		step := Step{Name: s.name, State: Skipped}
		if d.Works() || s.always {
			step = try(ctx, s)
		}
		d.Steps = append(d.Steps, step)
	}
	d.Facts = tour.facts
	return d
}

// patience is how long a step may take, of which the retries of a request that nobody answers
// are four seconds.
const patience = 20 * time.Second

func try(ctx context.Context, s step) Step {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	started := time.Now()
	detail, err := s.do(ctx)
	done := Step{Name: s.name, State: OK, Detail: detail, Seconds: time.Since(started).Seconds()}
	if err == nil {
		return done
	}
	done.State, done.Detail = Failed, err.Error()
	if s.choice && absent(err) {
		done.State = Absent
		return done
	}
	var failure *rdma.Error
	if errors.As(err, &failure) {
		done.HostLacks = failure.HostLacks()
	}
	var errno unix.Errno
	if errors.As(err, &errno) {
		done.Errno = unix.ErrnoName(errno)
	}
	var request *rdma.CompletionError
	if errors.As(err, &request) {
		done.Status, done.VendorErr = uint32(request.Completion.Status), request.Completion.VendorErr
	}
	return done
}
