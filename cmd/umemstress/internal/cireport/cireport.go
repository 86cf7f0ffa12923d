// Package cireport writes the files for CI systems that a command's flags ask for.
package cireport

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"umemstress/workload/report/ci"
)

// Flags are --report, which may be repeated, and --report-inconclusive.
type Flags struct {
	wanted       []string // junit=FILE, ktap=FILE
	inconclusive string
	files        []file
}

type file struct {
	*os.File
	write func(ci.Report, io.Writer) error
}

// formats are what --report knows.
var formats = map[string]func(ci.Report, io.Writer) error{"junit": ci.Report.JUnit, "ktap": ci.Report.KTAP}

// Register adds the flags to a command's.
func (f *Flags) Register(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.wanted, "report", nil, "also write the result for a CI system, `FORMAT=FILE`: junit or ktap")
	flags.StringVar(&f.inconclusive, "report-inconclusive", "skip", "what --report makes of an inconclusive result: skip or failure")
}

// Open makes the files, so that one that cannot be made ends the command before its work. Its
// errors are the user's.
func (f *Flags) Open() error {
	if f.inconclusive != "skip" && f.inconclusive != "failure" {
		return fmt.Errorf("--report-inconclusive %q: choose skip or failure", f.inconclusive)
	}
	for _, wanted := range f.wanted {
		format, path, _ := strings.Cut(wanted, "=")
		write, known := formats[format]
		if !known || path == "" {
			return fmt.Errorf("--report %q: give junit=FILE or ktap=FILE", wanted)
		}
		created, err := os.Create(path)
		if err != nil {
			return fmt.Errorf("--report: %w", err)
		}
		f.files = append(f.files, file{created, write})
	}
	return nil
}

// Save writes what build gives, when there is a file to write; build is told what becomes of an
// inconclusive result.
func (f *Flags) Save(build func(inconclusive ci.Outcome) ci.Report) error {
	if len(f.files) == 0 {
		return nil
	}
	inconclusive := ci.Skipped
	if f.inconclusive == "failure" {
		inconclusive = ci.Failed
	}
	report := build(inconclusive)
	var errs []error
	for _, file := range f.files {
		if err := errors.Join(file.write(report, file), file.Close()); err != nil {
			errs = append(errs, fmt.Errorf("--report: %w", err))
		}
	}
	f.files = nil
	return errors.Join(errs...)
}

// FromHere is a path as a CI system finds it again: relative, where it lies below the
// current directory.
func FromHere(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(here, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}
