// Package manual writes the man pages of the commands, from what their help says.
package manual

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

// Write makes a page in dir for root and for each command below it, as of a date: the same
// commands and date give the same bytes. It changes the commands, which are not to be run
// after that.
func Write(root *cobra.Command, dir string, date time.Time) error {
	prepare(root)
	date = date.UTC()
	header := &doc.GenManHeader{Date: &date, Source: root.Name() + " " + root.Version, Manual: root.Name()}
	if err := doc.GenManTree(root, header, dir); err != nil {
		return fmt.Errorf("manual: %w", err)
	}
	return nil
}

// prepare makes Markdown of the texts of a command and of those below it, which they are
// taken for.
func prepare(cmd *cobra.Command) {
	cmd.DisableAutoGenTag = true // it has a date of its own
	cmd.Use, cmd.Short, cmd.Long = escape(cmd.Use), escape(cmd.Short), escape(cmd.Long)
	for _, flags := range []*pflag.FlagSet{cmd.LocalNonPersistentFlags(), cmd.PersistentFlags()} {
		flags.VisitAll(func(flag *pflag.Flag) {
			_, usage := pflag.UnquoteUsage(flag)
			flag.Usage = escape(usage)
		})
	}
	for _, sub := range cmd.Commands() {
		if sub.Name() == "completion" || sub.Name() == "help" { // cobra's own
			sub.Hidden = true
			continue
		}
		prepare(sub)
	}
}

var special = strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "`", "\\`", "<", `\<`, ">", `\>`, "[", `\[`, "]", `\]`, "~", `\~`, "|", `\|`)

// escape has Markdown take a text as it is. What stands indented is an example to it, in which
// nothing is special.
func escape(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "    ") {
			line = special.Replace(line)
		}
		b.WriteString(line)
	}
	return b.String()
}
