package build

import (
	"slices"
	"strings"
	"testing"
)

func TestParseConfig(t *testing.T) {
	got, err := parseConfig("f", "# a comment\n\nCONFIG_A=y\r\nCONFIG_B=\"a b\"  \n# CONFIG_C is not set\nCONFIG_A=m\n")
	want := []setting{{"CONFIG_A", "y"}, {"CONFIG_B", `"a b"`}, {"CONFIG_C", "n"}, {"CONFIG_A", "m"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	const merged = "CONFIG_A=m\nCONFIG_B=\"a b\"\n# CONFIG_C is not set\n"
	if text := render(merge(got)); text != merged {
		t.Errorf("merged:\n%s", text)
	}
	for _, bad := range []string{"CONFIG_A", "CONFIG_A=", "A=y", "CONFIG_A: y", "export CONFIG_A=y"} {
		if _, err := parseConfig("f.config", "CONFIG_B=y\n"+bad+"\n"); !isUsage(err, "f.config:2: ") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestNotKept(t *testing.T) {
	asked := []setting{{"CONFIG_Y", "y"}, {"CONFIG_M", "m"}, {"CONFIG_BUILTIN", "m"}, {"CONFIG_OFF", "n"}, {"CONFIG_SELECTED", "n"}, {"CONFIG_GONE", "y"}, {"CONFIG_WORD", `"a"`}}
	got := map[string]string{"CONFIG_Y": "y", "CONFIG_M": "m", "CONFIG_BUILTIN": "y", "CONFIG_SELECTED": "y", "CONFIG_WORD": `"b"`}
	if lost := optionNames(notKept(asked, got)); lost != `CONFIG_SELECTED=n, CONFIG_GONE=y, CONFIG_WORD="a"` {
		t.Error(lost)
	}
}

// What the lab asks for boots, and each thing that is turned off is named.
func TestCheckBootable(t *testing.T) {
	own, err := ours()
	if err != nil {
		t.Fatal(err)
	}
	if err := checkBootable(valuesOf(own)); err != nil {
		t.Error(err)
	}
	for _, e := range essential {
		got := valuesOf(own)
		delete(got, e.option)
		if err := checkBootable(got); !isUsage(err, "it lacks "+e.option+" ("+e.why+");") {
			t.Errorf("without %s: %v", e.option, err)
		}
		got[e.option] = "m"
		if err := checkBootable(got); (err == nil) != e.module {
			t.Errorf("%s as a module: %v", e.option, err)
		}
	}
	if err := checkBootable(nil); !isUsage(err, "virtio", "9p", "BTF") {
		t.Error(err)
	}
}

// Options that a kernel does not have are told from those that it does not keep.
func TestCheckKept(t *testing.T) {
	tree := t.TempDir()
	lay(t, tree, map[string]string{"mm/Kconfig.debug": "menuconfig KASAN\n\tbool\n", "lib/Kconfig": "  config FPROBE\n", "lib/other": "config OLD\n"})
	p := &plan{Options: Options{Config: []string{"a.config"}}}
	check := func(asked ...setting) error {
		p.config = asked
		return p.checkKept(t.Context(), tree, append(asked, setting{"CONFIG_FPROBE", "y"}, setting{"CONFIG_NEWER", "y"}), nil)
	}
	if err := check(); err != nil {
		t.Error(err)
	}
	if err := check(setting{"CONFIG_KASAN", "y"}); !isUsage(err, "--config a.config", "does not keep CONFIG_KASAN=y") {
		t.Error(err)
	}
	if err := check(setting{"CONFIG_OLD", "y"}); !isUsage(err, "has no option CONFIG_OLD=y") {
		t.Error(err)
	}
	var many []setting
	for c := range strings.SplitSeq("ABCDEFGHIJKLMN", "") {
		many = append(many, setting{"CONFIG_" + c, "y"})
	}
	if err := check(many...); !isUsage(err, "CONFIG_L=y, and 2 more") {
		t.Error(err)
	}
}
