package matrix

import "encoding/json"

// What a run leaves in its evidence directory, and says of a phase that it is in.
const (
	runFile      = "run.json"
	phaseRunning = "running"
)

// verdictWords are the verdicts of run.json, worst first.
var verdictWords = []string{"corrupted", "data-lost", "reproduced", "exposed", "refused", "clean", "inconclusive"}

// verdicts are the same, with the exit codes that go with them.
var verdicts = map[string]int{
	"corrupted": 13, "data-lost": 12, "reproduced": 11, "exposed": 10,
	"refused": 0, "clean": 0, "inconclusive": 4,
}

// runSchema names the format of run.json that is read here.
const runSchema = "umemstress.run/v1"

// runRecord is what the matrix reads of run.json.
type runRecord struct {
	Schema        string          `json:"schema"`
	Verdict       string          `json:"verdict"`
	Reason        string          `json:"reason"`
	Channels      json.RawMessage `json:"channels"`
	Disagreements []string        `json:"disagreements"`
	Phases        []struct {
		Name    string `json:"name"`
		Outcome string `json:"outcome"`
	} `json:"phases"`
}

// pageCounts are where the pages of a verdict are counted: the channel, its
// field for those that were hit, and for those that could have been.
var pageCounts = map[string][3]string{
	"corrupted":  {"clone", "changed_pages", "checked_pages"},
	"data-lost":  {"disk", "stale_pages", "checked_pages"},
	"reproduced": {"probes", "bufferless_pages", "dirtied_pages"},
	"exposed":    {"probes", "unannounced_pages", "dirtied_pages"},
}
