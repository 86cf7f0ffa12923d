//go:build !guest

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"umemstress/cmd/umemstress/internal/manual"
)

// manualAt has the pages of that date, by their file names.
func manualAt(t *testing.T, date time.Time) map[string]string {
	t.Helper()
	dir := t.TempDir()
	if err := manual.Write(newRootCommand(), dir, date); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		pages[e.Name()] = string(text)
	}
	return pages
}

// Every command has a page with its description and its flags, and nothing else has one.
func TestManual(t *testing.T) {
	pages := manualAt(t, time.Unix(1700000000, 0))
	var look func(*cobra.Command)
	look = func(cmd *cobra.Command) {
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
		page, there := pages[name+".1"]
		if !there {
			t.Errorf("%s has no page", cmd.CommandPath())
		}
		delete(pages, name+".1")
		text := plain(page)
		first, _, _ := strings.Cut(cmd.Long, ".")
		for line := range strings.Lines(first) {
			if line = strings.TrimSpace(line); !strings.Contains(text, line) {
				t.Errorf("%s: %q is not in its page", name, line)
			}
		}
		cmd.LocalFlags().VisitAll(func(flag *pflag.Flag) {
			_, usage := pflag.UnquoteUsage(flag)
			if flag.Name != "help" && (!strings.Contains(text, "--"+flag.Name) || !strings.Contains(text, usage)) {
				t.Errorf("%s: --%s, %q, is not in its page", name, flag.Name, usage)
			}
		})
		for _, sub := range cmd.Commands() {
			if !sub.Hidden && sub.Name() != "completion" && sub.Name() != "help" {
				look(sub)
			}
		}
	}
	look(newRootCommand())
	for name := range pages {
		t.Errorf("%s is of no command", name)
	}
}

// plain is the text of a page without what is roff's.
func plain(page string) string {
	return strings.NewReplacer(`\-`, "-", `\fB`, "", `\fP`, "", `\fR`, "", `\fI`, "", `\&`, "", `\(aq`, "'", `\\`, `\`).Replace(page)
}

// The pages are of the date that is given, wherever and whenever they are made.
func TestManualIsReproducible(t *testing.T) {
	date := time.Date(2026, 11, 30, 23, 59, 0, 0, time.UTC)
	one, other := manualAt(t, date), manualAt(t, date.In(time.FixedZone("east", 3600*5)))
	for name, page := range one {
		if other[name] != page {
			t.Errorf("%s is another at the same moment elsewhere", name)
		}
		if !strings.Contains(page, "Nov 2026") {
			t.Errorf("%s has another date", name)
		}
	}
}
