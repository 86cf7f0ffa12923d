// Package dotconfig answers one question: what does a .config of a kernel, or a fragment of one,
// set?
package dotconfig

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// Off is the value of an option that is not set.
const Off = "n"

// A Setting is an option, with its CONFIG_, and its value as .config has it.
type Setting struct{ Option, Value string }

// Known are the options of a .config and their values, also Off. Of an option that is set twice,
// the last counts, as with kconfig.
type Known map[string]string

// maxLine is more than an option's value has.
const maxLine = 1 << 20

var (
	settingLine = regexp.MustCompile(`^(CONFIG_[0-9A-Za-z_]+)=(\S.*)$`)
	unsetLine   = regexp.MustCompile(`^# (CONFIG_[0-9A-Za-z_]+) is not set$`)
	// headLine is what kconfig writes at the top: for what architecture, as in arch/ARCH.
	headLine = regexp.MustCompile(`^# Linux/(\S+) .*Configuration`)
)

// Parse reads the settings in their order, and the architecture, if it is told. What is no line of
// a .config goes to strange, whose error ends it; nil: it is skipped.
func Parse(text io.Reader, strange func(number int, line string) error) (settings []Setting, arch string, err error) {
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, maxLine)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimRight(lines.Text(), " \t\r")
		if m := settingLine.FindStringSubmatch(line); m != nil {
			settings = append(settings, Setting{m[1], m[2]})
		} else if m := unsetLine.FindStringSubmatch(line); m != nil {
			settings = append(settings, Setting{m[1], Off})
		} else if m := headLine.FindStringSubmatch(line); m != nil && arch == "" {
			arch = m[1]
		} else if line != "" && !strings.HasPrefix(line, "#") && strange != nil {
			if err := strange(number, line); err != nil {
				return nil, "", err
			}
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, "", fmt.Errorf("it is no configuration of a kernel: it has a line of more than %d bytes", maxLine)
	}
	return settings, arch, lines.Err()
}

// Of looks settings up by their options.
func Of(settings []Setting) Known {
	known := Known{}
	for _, s := range settings {
		known[s.Option] = s.Value
	}
	return known
}

// Has says whether an option is built in or a module, or has another value.
func (k Known) Has(option string) bool { return k.Value(option) != Off }

// Value is that of an option, which is named with its CONFIG_ or without.
func (k Known) Value(option string) string {
	if value, ok := k["CONFIG_"+strings.TrimPrefix(option, "CONFIG_")]; ok {
		return value
	}
	return Off
}

// Merge has the last word on each option.
func Merge(fragments ...[]Setting) []Setting {
	var merged []Setting
	at := map[string]int{}
	for _, s := range slices.Concat(fragments...) {
		if i, ok := at[s.Option]; ok {
			merged[i] = s
			continue
		}
		at[s.Option] = len(merged)
		merged = append(merged, s)
	}
	return merged
}

// Render writes settings as .config has them.
func Render(settings []Setting) string {
	var b strings.Builder
	for _, s := range settings {
		if s.Value == Off {
			fmt.Fprintf(&b, "# %s is not set\n", s.Option)
		} else {
			fmt.Fprintf(&b, "%s=%s\n", s.Option, s.Value)
		}
	}
	return b.String()
}
