package remote

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"umemstress/rdma"
	"umemstress/workload/holder"
	"umemstress/workload/holder/umem/end"
	"umemstress/workload/internal/fault"
	"umemstress/workload/latency"
	"umemstress/workload/payload"
	"umemstress/workload/record"
)

// protocol is the version of what is said. Both sides have to speak the same.
const protocol = 7

// maxLine is the longest line, in bytes: 100,000 memory regions take 4 MiB.
const maxLine = 16 << 20

// sum is what both sides know the same bytes by.
func sum(bytes []byte) string { return fmt.Sprintf("%x", sha256.Sum256(bytes)) }

// greeting is the peer's first line.
type greeting struct {
	Protocol int    `json:"umemstress_peer"`
	Version  string `json:"version"` // of the program
	Host     string `json:"host"`
}

// A request is a line with one of these, which is answered by one line, a reply.
type request struct {
	Run        *RunRequest      `json:"run,omitempty"` // the first, or none
	Open       *openRequest     `json:"open,omitempty"`
	Connect    *end.Place       `json:"connect,omitempty"`
	Register   *registerRequest `json:"register,omitempty"`
	Begin      *beginRequest    `json:"begin,omitempty"`
	Renew      *end.Region      `json:"renew,omitempty"`
	Fill       *payload.Recipe  `json:"fill,omitempty"`
	Expect     *end.Order       `json:"expect,omitempty"`
	Send       *end.Order       `json:"send,omitempty"`
	Await      bool             `json:"await,omitempty"`
	Latencies  bool             `json:"latencies,omitempty"`
	ClosePairs bool             `json:"close_pairs,omitempty"`
	Deregister int              `json:"deregister,omitempty"` // by so many threads
}

type openRequest struct {
	Connection string `json:"connection"`
	Verb       string `json:"verb"`
	QueuePairs int    `json:"queue_pairs"`
	SRQ        bool   `json:"srq"`
	Depth      int    `json:"tx_depth"`
	Reads      int    `json:"outs"`
	Events     bool   `json:"events"`
	ReadOnly   bool   `json:"read_only"`
	Windows    int    `json:"mw,omitempty"`    // of a child, which has the target
	Rereg      string `json:"rereg,omitempty"` // likewise
	Pieces     int    `json:"sge"`
	Inline     int    `json:"inline"`
	RateLimit  int64  `json:"rate_limit"`
	Manager    bool   `json:"rdma_cm,omitempty"` // connects the queue pairs
	MTU        int    `json:"mtu"`               // as of rdma.PathConfig, and so on
	SL         int    `json:"sl"`
	TClass     int    `json:"tclass"`
	PKeyIndex  int    `json:"pkey_index"`
	Timeout    int    `json:"qp_timeout"`
}

type registerRequest struct {
	Bytes   int64  `json:"bytes"`
	Regions int    `json:"regions"`        // that it is registered as
	Path    string `json:"path,omitempty"` // of the file that has it, from Offset on; a child's alone
	Offset  int64  `json:"offset,omitempty"`
	Huge    int64  `json:"huge,omitempty"` // in huge pages of so many bytes
}

type beginRequest struct {
	Theirs end.Region  `json:"theirs"`
	Pass   holder.Pass `json:"pass"`
}

// reply has an error, or what was asked for.
type reply struct {
	Error  *failure       `json:"error,omitempty"`
	Device *record.Device `json:"device,omitempty"` // of open
	Place  *end.Place     `json:"place,omitempty"`  // of open
	Region *end.Region    `json:"region,omitempty"` // of register
	Sum    string         `json:"sum,omitempty"`    // of what fill has made
	Done   *end.Done      `json:"done,omitempty"`   // of send, beside an error too

	Latencies []latency.Count `json:"latencies,omitempty"`
}

// failure is an error as the other side tells it.
type failure struct {
	Text    string `json:"text"`
	Lacks   bool   `json:"lacks,omitempty"`   // the host lacks something
	Refused bool   `json:"refused,omitempty"` // rdma.ErrPinRefused, or rdma.ErrAccessRefused
	Dropped bool   `json:"dropped,omitempty"` // messages did not arrive
	Usage   bool   `json:"usage,omitempty"`   // what was asked for cannot be
}

func newFailure(err error) *failure {
	if err == nil {
		return nil
	}
	var lacks interface{ HostLacks() bool }
	var usage interface{ Usage() bool }
	return &failure{
		Text: err.Error(), Lacks: errors.As(err, &lacks) && lacks.HostLacks(), Refused: errors.Is(err, rdma.ErrPinRefused) || errors.Is(err, rdma.ErrAccessRefused),
		Dropped: fault.IsIneffective(err), Usage: errors.As(err, &usage) && usage.Usage(),
	}
}

// config is what an end is opened with: of the device, this side's own.
func (r openRequest) config(own Config) end.Config {
	return end.Config{
		Side: own.side(), Connection: r.Connection, Verb: r.Verb, QueuePairs: r.QueuePairs, SRQ: r.SRQ, Depth: r.Depth, Reads: r.Reads, Events: r.Events,
		ReadOnly: r.ReadOnly, Windows: r.Windows, Rereg: r.Rereg, Pieces: r.Pieces, Inline: r.Inline, RateLimit: r.RateLimit, Manager: r.Manager, Backend: own.Backend, Device: own.Device,
		Path: rdma.PathConfig{
			Port: own.Port, GIDIndex: own.GIDIndex, MTU: r.MTU,
			ServiceLevel: r.SL, TrafficClass: r.TClass, PKeyIndex: r.PKeyIndex, Timeout: r.Timeout,
		},
	}
}

// errTooLong is of a line that none of this protocol is.
var errTooLong = fmt.Errorf("a line of more than %d bytes", maxLine)

// newLines reads lines of the other side.
func newLines(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, 64<<10) }

// readLine reads a line. It is what came, also with an error.
func readLine(r *bufio.Reader) (line []byte, err error) {
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxLine:
			return line, errTooLong
		case err == nil:
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			if errors.Is(err, io.EOF) && len(line) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return line, err
		}
	}
}

func writeLine(w io.Writer, what any) error {
	line, err := json.Marshal(what)
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}
