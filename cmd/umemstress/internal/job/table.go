package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"umemstress/cmd/umemstress/internal/exit"
)

const schema = "umemstress.job/v1"

// result is what rank 0 prints.
type result struct {
	Schema   string    `json:"schema"`
	Ranks    int       `json:"ranks"`
	Exit     int       `json:"exit"` // the worst
	Outcomes []outcome `json:"outcomes"`
}

// status is the worst outcome's.
func (all result) status() error {
	if all.Exit == exit.Clean {
		return nil
	}
	return exit.Status(all.Exit)
}

func (all result) print(w io.Writer, format string) error {
	if format == "json" {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(all)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "rank\thost\tdevice\tpeer\tverdict\tpages\twhy")
	for _, o := range all.Outcomes {
		if o.worthARow() {
			fmt.Fprintln(table, strings.Join(o.row(), "\t"))
		}
	}
	return table.Flush()
}

// worthARow says whether it is a run, or a peer of which more is to be said than its run does.
func (o outcome) worthARow() bool { return o.Rank%2 == 0 || o.Exit != exit.Clean }

// row has the columns of the table, each of one line that a terminal may be given.
func (o outcome) row() []string {
	const none = "-"
	row := []string{fmt.Sprint(o.Rank), none, none, none, fmt.Sprintf("none (exit code %d)", o.Exit), none, none}
	set := func(column int, text string) {
		if text != "" {
			row[column] = strings.NewReplacer("\n", "; ", "\t", " ").Replace(exit.Told(errors.New(text), nil))
		}
	}
	set(1, o.Host)
	if o.Device != nil {
		set(2, o.Device.Name)
		if p := o.Device.Peer; p != nil {
			set(3, p.Host+" "+p.Name)
		}
	}
	set(4, string(o.Verdict))
	if o.Of > 0 {
		set(5, fmt.Sprintf("%d of %d", o.Hit, o.Of))
	}
	set(6, o.Reason)
	return row
}
