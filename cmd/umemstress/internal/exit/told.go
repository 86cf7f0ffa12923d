package exit

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Told is an error's text for a terminal. Values from the command line that would break the
// line or command the terminal are quoted; what else does so is escaped.
func Told(err error, args []string) string {
	text := strings.ReplaceAll(err.Error(), context.Canceled.Error(), "interrupted")
	for _, value := range unprintable(args) {
		text = strings.ReplaceAll(text, value, strconv.Quote(value))
	}
	var line strings.Builder
	for _, r := range text {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			line.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
			continue
		}
		line.WriteRune(r)
	}
	return line.String()
}

// unprintable are the arguments with control characters, and such parts of theirs as an
// error may speak of, the longest first.
func unprintable(args []string) []string {
	var found []string
	for _, arg := range args {
		_, value, _ := strings.Cut(arg, "=")
		parts := append(strings.FieldsFunc(arg, func(r rune) bool { return strings.ContainsRune("/=,", r) }), arg, value)
		for _, part := range parts {
			if strings.ContainsFunc(part, unicode.IsControl) && !slices.Contains(found, part) {
				found = append(found, part)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b string) int { return len(b) - len(a) })
	return found
}
