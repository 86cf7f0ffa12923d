// Package completion tells a shell what values the command's flags take.
package completion

import (
	"net"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"umemstress/rdma"
	"umemstress/soft-roce/lab/build"
	"umemstress/soft-roce/lab/kernels"
	"umemstress/workload"
	"umemstress/workload/holder/umem"
	"umemstress/workload/provoke"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// choices are the values of a flag, each as cobra.CompletionWithDesc writes it.
type choices func() []cobra.Completion

// flags are those whose values are known, by their names, which mean the same in every
// command.
func flags() map[string]choices {
	known := map[string]choices{
		"format":     words("text", "json"),
		"log-format": words("text", "json"),
		"preset":     func() []cobra.Completion { return described(workload.Presets()) },
		"scenario":   scenarios,
		"explore":    scenarios,
		"only":       scenarios,
		"ib-dev":     devices,
		"device":     devices,
		"netdev":     netdevs,
		"kernel":     kernelNames,
		"kernels":    kernelNames,
		"fetch":      kernelNames,
		"source":     kernelNames,
		"release":    words(umem.Releases()...),
		"connection": words(umem.Connections()...),
		"verb":       words(umem.Verbs()...),
		"by":         words(string(provoke.Madvise), string(provoke.Memcg)),
		"rereg":      words(umem.Reregs()...),
		"backend":    words("auto", "uverbs", "ibverbs"),
		"report":     words("junit=", "ktap="),
		"victim":     words(workload.VictimLocal, workload.VictimRemote, workload.VictimBoth),
		"mutator":    words(workload.MutatorSelf, workload.MutatorChild),
		"observe":    words(workload.ObserveAuto, workload.ObserveOff, workload.ObserveRequire),

		"without-fix": fixes,
		"good":        verdicts,
		"bad":         verdicts,

		"report-inconclusive": words("skip", "failure"),
	}
	for _, part := range scenario.Parts() {
		known[string(part)] = func() []cobra.Completion { return described(workload.Scenarios().Choices(part)) }
	}
	return known
}

// Paths, which the shell completes better.
var (
	files       = []string{"file", "dio-source", "v4l2-dev", "serial", "expected", "patch", "semantic-patch", "config", "path", "textfile"}
	directories = []string{"output", "scratch-dir", "modules", "share", "journal", "read", "cgroup", "dir"}
	// A kernel can also be a package, an image or a directory, and a source a directory.
	alsoFiles = []string{"kernel", "source"}
)

// AddTo has every flag of a command, and of those below it, complete its values.
func AddTo(cmd *cobra.Command) {
	known := flags()
	cmd.LocalFlags().VisitAll(func(flag *pflag.Flag) {
		if _, there := cmd.GetFlagCompletionFunc(flag.Name); there || slices.Contains(files, flag.Name) {
			return
		}
		complete := values(known[flag.Name], directive(flag.Name))
		if err := cmd.RegisterFlagCompletionFunc(flag.Name, complete); err != nil {
			panic(err) // the flag was just visited, and has no function yet
		}
	})
	for _, sub := range cmd.Commands() {
		AddTo(sub)
	}
}

func directive(flag string) cobra.ShellCompDirective {
	switch {
	case slices.Contains(directories, flag):
		return cobra.ShellCompDirectiveFilterDirs
	case slices.Contains(alsoFiles, flag):
		return cobra.ShellCompDirectiveDefault
	}
	return cobra.ShellCompDirectiveNoFileComp
}

// values completes the last of the words that are separated by commas, as in
// --kernels 5.10,6.1; no name has a comma in it.
func values(list choices, directive cobra.ShellCompDirective) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if list == nil {
			return nil, directive
		}
		before := begun[:strings.LastIndexByte(begun, ',')+1]
		var found []cobra.Completion
		for _, choice := range list() {
			if choice = before + choice; strings.HasPrefix(choice, begun) {
				found = append(found, choice)
			}
		}
		return found, directive
	}
}

func fixes() []cobra.Completion {
	var found []cobra.Completion
	for _, fix := range build.Fixes() {
		found = append(found, cobra.CompletionWithDesc(fix.Commit, "without it, "+fix.Effect))
	}
	return found
}

// Kernels completes an argument that is a kernel's name, or a file of one.
func Kernels(_ *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return values(kernelNames, cobra.ShellCompDirectiveDefault)(nil, nil, begun)
}

func verdicts() []cobra.Completion {
	var found []cobra.Completion
	for _, v := range record.Verdicts() {
		found = append(found, string(v))
	}
	return found
}

func words(list ...string) choices { return func() []cobra.Completion { return list } }

func described(list []scenario.Choice) []cobra.Completion {
	var found []cobra.Completion
	for _, c := range list {
		found = append(found, cobra.CompletionWithDesc(c.Name, c.What))
	}
	return found
}

func scenarios() []cobra.Completion {
	var found []cobra.Completion
	for _, e := range workload.Scenarios().All() {
		if e.Nonsense == "" {
			found = append(found, cobra.CompletionWithDesc(e.Scenario.String(), e.Shows))
		}
	}
	return found
}

// What cannot be looked up has no completion: a shell has no place for the error.

func devices() []cobra.Completion {
	var found []cobra.Completion
	list, _ := rdma.Devices(rdma.Sysfs)
	for _, d := range list {
		found = append(found, cobra.CompletionWithDesc(d.Name, d.Driver))
	}
	return found
}

func netdevs() []cobra.Completion {
	var found []cobra.Completion
	list, _ := net.Interfaces()
	for _, i := range list {
		found = append(found, i.Name)
	}
	return found
}

func kernelNames() []cobra.Completion {
	store, err := kernels.DefaultStore()
	if err != nil {
		return nil
	}
	list, _ := store.List()
	var found []cobra.Completion
	for _, e := range list {
		found = append(found, cobra.CompletionWithDesc(e.Name, e.Version))
	}
	return found
}
