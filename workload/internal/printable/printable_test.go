package printable

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"":                           "",
		"5.10.0-46-amd64, #1 SMP":    "5.10.0-46-amd64, #1 SMP",
		"a ← b, 16 384 Seiten für €": "a ← b, 16 384 Seiten für €",
		"\x1b[31mRED\x1b[0m":         `\x1b[31mRED\x1b[0m`,
		"\x1b]0;title\a":             `\x1b]0;title\a`,
		"a\nverdict     CLEAN":       `a\nverdict     CLEAN`,
		"a\r\tb\v\f":                 `a\r\tb\v\f`,
		"\u009b31m":                  `\u009b31m`, // CSI of C1
		"\x9b31m":                    `\x9b31m`,
		"abc\u202ecba":               `abc\u202ecba`,
		"\x7f\x00":                   `\x7f\x00`,
	} {
		if got := Text(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// FuzzText leaves nothing that a terminal obeys, and what prints as it is.
func FuzzText(f *testing.F) {
	for _, s := range []string{"plain", "\x1b[2J", "a\nb", "\xff\xfe", "\u202e", "\u009b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Text(s)
		unprintable := func(r rune) bool { return !strconv.IsPrint(r) }
		if !utf8.ValidString(got) || strings.ContainsFunc(got, unprintable) {
			t.Errorf("%q became %q", s, got)
		}
		if utf8.ValidString(s) && !strings.ContainsFunc(s, unprintable) && got != s {
			t.Errorf("%q became %q", s, got)
		}
	})
}
