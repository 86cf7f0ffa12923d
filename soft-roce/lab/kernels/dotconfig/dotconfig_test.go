package dotconfig

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

const text = "#\n# Automatically generated file; DO NOT EDIT.\n# Linux/x86 6.9.0 Kernel Configuration\n#\n\nCONFIG_A=y\r\nCONFIG_B=\"a b\"  \n# CONFIG_C is not set\nCONFIG_A=m\nCONFIG_E=n\n"

func TestParse(t *testing.T) {
	got, arch, err := Parse(strings.NewReader(text), func(number int, line string) error { return fmt.Errorf("%d: %s", number, line) })
	want := []Setting{{"CONFIG_A", "y"}, {"CONFIG_B", `"a b"`}, {"CONFIG_C", Off}, {"CONFIG_A", "m"}, {"CONFIG_E", Off}}
	if err != nil || arch != "x86" || !slices.Equal(got, want) {
		t.Errorf("%v of %q, %v", got, arch, err)
	}
	const merged = "CONFIG_A=m\nCONFIG_B=\"a b\"\n# CONFIG_C is not set\n# CONFIG_E is not set\n"
	if text := Render(Merge(got)); text != merged {
		t.Errorf("merged:\n%s", text)
	}
	known := Of(got)
	for option, value := range map[string]string{"A": "m", "B": `"a b"`, "C": Off, "E": Off, "F": Off} {
		if known.Value(option) != value || known.Has(option) != (value != Off) {
			t.Errorf("%s is %s", option, known.Value(option))
		}
	}
	for _, head := range []string{"# Linux/x86_64 5.10.0-rc1 Kernel Configuration", "# Linux/arm64 6.1.0 Kernel Configuration"} {
		if _, arch, err := Parse(strings.NewReader(head), nil); err != nil || !strings.HasPrefix(head, "# Linux/"+arch+" ") {
			t.Errorf("%s: %q, %v", head, arch, err)
		}
	}
}

// What is no line of a configuration is told with its number, or skipped.
func TestParseStrange(t *testing.T) {
	no := errors.New("no")
	for _, bad := range []string{"CONFIG_A", "CONFIG_A=", "A=y", "CONFIG_A: y", "export CONFIG_A=y"} {
		var at int
		_, _, err := Parse(strings.NewReader("CONFIG_B=y\n"+bad+"\nCONFIG_D=y"), func(number int, _ string) error { at = number; return no })
		if !errors.Is(err, no) || at != 2 {
			t.Errorf("%s: line %d, %v", bad, at, err)
		}
		if got, _, err := Parse(strings.NewReader("CONFIG_B=y\n"+bad+"\nCONFIG_D=y"), nil); err != nil || len(got) != 2 {
			t.Errorf("%s: %v, %v", bad, got, err)
		}
	}
	if _, _, err := Parse(strings.NewReader("CONFIG_A="+strings.Repeat("x", maxLine)), nil); err == nil || !strings.Contains(err.Error(), "no configuration of a kernel") {
		t.Error(err)
	}
}

// What is read of a stranger's .config says the same when it is written and read again, each option
// once, and no line of it is anything else.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		text, "", "CONFIG_=y\n", "CONFIG_A=y", "CONFIG_A= y\n", "# CONFIG_A is not set\nCONFIG_A=y\n", "CONFIG_CMDLINE=\"a=b # CONFIG_B is not set\"\n",
		"CONFIG_A=y\rCONFIG_B=y\n", "CONFIG_A=\xff\x00\n", "# Linux/../../x 1 Configuration\n", "\xef\xbb\xbfCONFIG_A=y\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		settings, arch, err := Parse(strings.NewReader(text), nil)
		if err != nil {
			return
		}
		if strings.ContainsAny(arch, " \t\n") {
			t.Errorf("an architecture %q", arch)
		}
		merged := Merge(settings)
		again, _, err := Parse(strings.NewReader(Render(merged)), func(number int, line string) error {
			return fmt.Errorf("line %d: %q", number, line)
		})
		if err != nil || !slices.Equal(again, merged) {
			t.Errorf("%q is read again as %q, %v", merged, again, err)
		}
		known := Of(settings)
		if len(known) != len(merged) {
			t.Errorf("%d options, and %d of them known", len(merged), len(known))
		}
		for _, s := range merged {
			if known[s.Option] != s.Value {
				t.Errorf("%+v is known as %q", s, known[s.Option])
			}
		}
	})
}
