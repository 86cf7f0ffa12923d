package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"umemstress/cmd/umemstress/internal/exit"

	"github.com/sirupsen/logrus"

	"umemstress/cmd/umemstress/internal/cireport"
	"umemstress/workload"
	"umemstress/workload/record"
	"umemstress/workload/report"
	"umemstress/workload/report/ci"
	"umemstress/workload/scenario"
)

// scenarioOutcome is what became of one scenario of many.
type scenarioOutcome struct {
	Scenario scenario.Scenario `json:"scenario"`
	Verdict  record.Verdict    `json:"verdict,omitempty"`
	Reason   string            `json:"reason"`
	Exit     int               `json:"exit"`
	Evidence string            `json:"evidence"`

	record *record.Record // nil without a verdict
}

// runEverything runs every scenario that makes sense, or those of the holder that is given, and ends with the worst
// verdict's exit code. What this host lacks for one does not stop the others. An
// interruption ends it after it has told what was seen until then.
func runEverything(ctx context.Context, stdout io.Writer, flags *runFlags, options workload.Options) error {
	outcomes := []scenarioOutcome{}
	all := scenariosOf(flags.holder(), options)
	for i, o := range all {
		result := runOne(ctx, o)
		if ctx.Err() != nil {
			break
		}
		logrus.Infof("%d of %d, %s: %s", i+1, len(all), result.Scenario, result.word())
		outcomes = append(outcomes, result)
		if result.Verdict == record.Crashed {
			break // nothing that this machine still does proves anything
		}
	}
	err := errors.Join(
		printOutcomes(stdout, flags.format, outcomes),
		flags.reports.Save(func(inconclusive ci.Outcome) ci.Report { return reportOf(outcomes, inconclusive) }),
	)
	if ctx.Err() != nil {
		return errors.Join(ctx.Err(), err)
	}
	return errors.Join(worst(outcomes), err)
}

// scenariosOf are the options of each scenario that makes sense, of one holder or, where that is empty, of all.
func scenariosOf(holder string, options workload.Options) (all []workload.Options) {
	for _, e := range workload.Scenarios().All() {
		if workload.NeedsPmem(e.Scenario) && options.PmemDevice == "" {
			continue // no device of the user's is overwritten unasked
		}
		if e.Nonsense != "" || e.Large || holder != "" && e.Scenario.Holder != holder {
			continue
		}
		o := options
		o.Scenario = e.Scenario
		if !workload.NeedsPmem(e.Scenario) {
			o.PmemDevice = ""
		}
		o.Output = outputOf(options.Output, e.Scenario)
		all = append(all, o)
	}
	return all
}

// outputOf is the evidence directory of one scenario of many.
func outputOf(dir string, s scenario.Scenario) string {
	return filepath.Join(dir, strings.ReplaceAll(s.String(), "/", "-"))
}

func runOne(ctx context.Context, o workload.Options) scenarioOutcome {
	record, err := workload.Run(ctx, o)
	return newOutcome(o, record, err)
}

// newOutcome is what a run came to that gave a record, or failed.
func newOutcome(o workload.Options, record *record.Record, err error) scenarioOutcome {
	result := scenarioOutcome{Scenario: o.Scenario, Evidence: o.Output}
	if err != nil {
		result.Reason, result.Exit = err.Error(), exit.Code(err)
		return result
	}
	result.record, result.Verdict, result.Reason = record, record.Verdict, record.Reason
	result.Scenario = record.Scenario // of several, the one that was chosen
	if record.CleanupError != "" {
		result.Reason += "; " + record.CleanupError
	}
	result.Exit = exit.Code(runStatus(record))
	return result
}

func (o scenarioOutcome) word() string {
	if o.Verdict != "" {
		return string(o.Verdict)
	}
	return fmt.Sprintf("no verdict (exit code %d): %s", o.Exit, o.Reason)
}

// worst is the status of the outcome that matters most.
func worst(outcomes []scenarioOutcome) error {
	var codes []int
	for _, o := range outcomes {
		codes = append(codes, o.Exit)
	}
	if code := exit.Worst(codes); code != exit.Clean {
		return exit.Status(code)
	}
	return nil
}

func printOutcomes(w io.Writer, format string, outcomes []scenarioOutcome) error {
	if format == "json" {
		return printJSON(w, outcomes)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, o := range outcomes {
		fmt.Fprintf(table, "%s\t%s\n", o.Scenario, o.word())
	}
	return table.Flush()
}

// reportOf is the outcomes as CI systems read them, in one suite.
func reportOf(outcomes []scenarioOutcome, inconclusive ci.Outcome) ci.Report {
	suite := ci.Suite{Name: "umemstress run", Started: time.Now()}
	for _, o := range outcomes {
		if o.record != nil && suite.Kernel == "" {
			suite.Kernel, suite.Started = o.record.Kernel, o.record.Started
		}
		suite.Cases = append(suite.Cases, o.testCase(inconclusive))
	}
	return ci.Report{Name: suite.Name, Suites: []ci.Suite{suite}}
}

// testCase passes with a good verdict. What this host lacks skips it, and a run that failed
// did not get as far as to fail the test.
func (o scenarioOutcome) testCase(inconclusive ci.Outcome) ci.Case {
	dir := cireport.FromHere(o.Evidence)
	if o.record != nil {
		return report.Case(o.record, dir, inconclusive)
	}
	test := ci.Case{Name: o.Scenario.String(), Outcome: ci.Errored, Why: o.Reason, Evidence: dir}
	if o.Exit == exit.HostLacks {
		test.Outcome = ci.Skipped
	}
	return test
}
