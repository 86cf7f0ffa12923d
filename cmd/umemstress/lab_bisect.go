package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"umemstress/cmd/umemstress/internal/exit"

	"github.com/spf13/cobra"

	"umemstress/soft-roce/lab"
	"umemstress/soft-roce/lab/build"
	"umemstress/soft-roce/lab/kernels"
	"umemstress/workload"
	"umemstress/workload/record"
)

// bisectPath is the command whose exit codes git bisect run reads.
const bisectPath = "umemstress lab bisect"

func newLabBisectCommand() *cobra.Command {
	var guest guestFlags
	var options build.Options
	var good, bad []string
	cmd := &cobra.Command{
		Use:   "bisect [flags] [-- RUN-FLAGS]",
		Short: "Build, boot and run one step of 'git bisect run'",
		Long: `Builds the kernel in the current directory as 'umemstress lab build' does, does
'umemstress run' with the flags that follow -- in a guest that boots it, and answers
git bisect run with the exit code, and with one line why on stdout: 0 good, 1 bad,
125 skip: it does not build or boot, or the run proves nothing. What would go wrong
at every step ends the bisection: 128, and 130 when interrupted. The guest may die of
it (run's --allow-crash). Run's own report goes to stderr; what it saw is kept in the
directory that the line names.

Verdicts are good or bad as --good and --bad name them. With one of the two alone, all
others are the opposite; inconclusive is neither unless it is named.`,
		Example: `  git bisect start v6.1 v5.15 -- mm fs/ext4
  git bisect run umemstress lab bisect -- --scenario rdma/ext4/pageout/none`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && cmd.ArgsLenAtDash() != 0 {
				return exit.Usagef("unexpected argument %q: run's own flags follow --", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			judge, err := newBisectJudge(good, bad, cmd.Flags().Changed("bad"))
			if err != nil {
				return err
			}
			if err := checkBuild(cmd.Flags(), &options); err != nil {
				return err
			}
			run, err := newLabRun(cmd, mayDie(args), 1)
			if err != nil {
				return err
			}
			defer os.Remove(run.dir) // a run that never began leaves it empty
			if run.flags.preset == workload.Everything {
				return exit.Usagef("--preset everything has many verdicts: bisect by one, with --scenario")
			}
			if len(run.options.Candidates) > 0 {
				return exit.Usagef("--preset %s may choose another scenario on another kernel: bisect by one, with --scenario", run.flags.preset)
			}
			config, err := run.guest(&guest)
			if err != nil {
				return err
			}
			if err := config.Check(); err != nil {
				return err
			}
			answer, err := judge.step(cmd, &options, &guest, run, config)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", answer.word(), answer.why); err != nil {
				return err
			}
			return answer.status()
		},
	}
	registerBuild(cmd.Flags(), &options)
	cmd.Flags().StringVar(&options.Source, "source", ".", sourceUsage)
	cmd.Flags().StringVar(&options.Name, "name", "bisect", "`NAME` of each step's kernel in the store, where it takes the place of the one before")
	guest.registerMachine(cmd.Flags())
	cmd.Flags().StringSliceVar(&good, "good", nil, "`VERDICT` that is good; may be repeated (default: those that are not bad)")
	cmd.Flags().StringSliceVar(&bad, "bad", harm(), "`VERDICT` that is bad; may be repeated")
	return cmd
}

// mayDie has a run do what its kernel can die of, unless its own flags say otherwise: the guest
// is there for that, and of a kernel that nobody dared to try there is no answer.
func mayDie(run []string) []string { return append([]string{"--allow-crash"}, run...) }

// harm are the verdicts of a kernel that harms, or is about to.
func harm() []string {
	return []string{string(record.Crashed), string(record.Corrupted), string(record.DataLost), string(record.Reproduced)}
}

// bisectJudge knows good verdicts from bad ones. What is in neither list is skipped.
type bisectJudge struct{ good, bad []record.Verdict }

// newBisectJudge takes --bad's default for given only where --good is not.
func newBisectJudge(good, bad []string, badGiven bool) (*bisectJudge, error) {
	j := &bisectJudge{}
	for name, list := range map[string][]string{"good": good, "bad": bad} {
		to := map[string]*[]record.Verdict{"good": &j.good, "bad": &j.bad}[name]
		for _, word := range list {
			v := record.Verdict(word)
			if !v.Known() {
				return nil, exit.Usagef("--%s %q: it is no verdict; choose among %s", name, word, verdictWords())
			}
			*to = append(*to, v)
		}
	}
	if len(j.good) > 0 && !badGiven {
		j.bad = nil
	}
	for _, v := range j.good {
		if slices.Contains(j.bad, v) {
			return nil, exit.Usagef("%s is named by both --good and --bad: leave it out of one", v)
		}
	}
	switch {
	case len(j.good) == 0:
		j.good = others(j.bad)
	case len(j.bad) == 0:
		j.bad = others(j.good)
	}
	return j, nil
}

func verdictWords() string {
	var words []string
	for _, v := range record.Verdicts() {
		words = append(words, string(v))
	}
	return strings.Join(words, ", ")
}

// others are all verdicts but those, and but the one that proves nothing.
func others(but []record.Verdict) (rest []record.Verdict) {
	for _, v := range record.Verdicts() {
		if v != record.Inconclusive && !slices.Contains(but, v) {
			rest = append(rest, v)
		}
	}
	return rest
}

// bisectAnswer is what a step came to: an exit code for git bisect run, and why.
type bisectAnswer struct {
	code int
	why  string
}

func (a bisectAnswer) word() string {
	switch a.code {
	case exit.Clean:
		return "good"
	case exit.BisectBad:
		return "bad"
	}
	return "skip"
}

func (a bisectAnswer) status() error {
	if a.code == exit.Clean {
		return nil
	}
	return exit.Status(a.code)
}

// step builds the kernel, and does the run in a guest that boots it. An error is one that the
// next step would meet as well.
func (j *bisectJudge) step(cmd *cobra.Command, options *build.Options, guest *guestFlags, run *labRun, config lab.Config) (bisectAnswer, error) {
	store, err := kernels.DefaultStore()
	if err != nil {
		return bisectAnswer{}, err
	}
	built, err := build.Build(cmd.Context(), store, *options)
	var source *build.SourceError
	switch {
	case errors.As(err, &source):
		return bisectAnswer{exit.BisectSkip, "it does not build: " + source.Error()}, nil
	case err != nil:
		return bisectAnswer{}, err
	}
	guest.kernel = []string{built.Built.Name}
	out := cmd.OutOrStdout()
	cmd.SetOut(cmd.ErrOrStderr())
	defer cmd.SetOut(out)
	err = run.in(cmd, guest, config)
	if ended := new(exit.Status); err != nil && !errors.As(err, ended) && !ofGuest(err) {
		return bisectAnswer{}, err
	}
	return j.answer(outcomeOf(run.options, err)), nil
}

// ofGuest tells whether an error is of the kernel that was booted.
func ofGuest(err error) bool {
	return errors.As(err, new(*lab.CrashError)) || errors.As(err, new(*lab.LabError))
}

// answer is what the run came to.
func (j *bisectJudge) answer(o scenarioOutcome) bisectAnswer {
	why := fmt.Sprintf("%s: %s (%s)", o.Verdict, o.Reason, o.Evidence)
	switch {
	case o.Verdict == "":
		return bisectAnswer{exit.BisectSkip, "no verdict: " + o.Reason}
	case slices.Contains(j.good, o.Verdict):
		return bisectAnswer{exit.Clean, why}
	case slices.Contains(j.bad, o.Verdict):
		return bisectAnswer{exit.BisectBad, why}
	}
	return bisectAnswer{exit.BisectSkip, why}
}
