package build

import (
	"slices"
	"strings"
	"testing"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/kernels/dotconfig"
)

// What is wrong with a fragment is told with its file and line.
func TestParseConfig(t *testing.T) {
	got, err := parseConfig("f", "# a comment\n\nCONFIG_A=y\n# CONFIG_C is not set\n")
	if err != nil || !slices.Equal(got, []setting{{Option: "CONFIG_A", Value: "y"}, {Option: "CONFIG_C", Value: "n"}}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"CONFIG_A", "A=y"} {
		if _, err := parseConfig("f.config", "CONFIG_B=y\n"+bad+"\n"); !isUsage(err, "f.config:2: ") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if _, err := parseConfig("f.config", strings.Repeat("x", 2<<20)); !isUsage(err, "f.config: it is no configuration of a kernel") {
		t.Error(err)
	}
}

func TestNotKept(t *testing.T) {
	asked := []setting{{Option: "CONFIG_Y", Value: "y"}, {Option: "CONFIG_M", Value: "m"}, {Option: "CONFIG_BUILTIN", Value: "m"}, {Option: "CONFIG_OFF", Value: "n"}, {Option: "CONFIG_SELECTED", Value: "n"}, {Option: "CONFIG_GONE", Value: "y"}, {Option: "CONFIG_WORD", Value: `"a"`}}
	got := dotconfig.Known{"CONFIG_Y": "y", "CONFIG_M": "m", "CONFIG_BUILTIN": "y", "CONFIG_SELECTED": "y", "CONFIG_WORD": `"b"`}
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
	if err := checkBootable(dotconfig.Of(own)); err != nil {
		t.Error(err)
	}
	for _, e := range essential {
		got := dotconfig.Of(own)
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
	p := &plan{Options: Options{Config: []string{"a.config"}, Log: host.Log(nil)}}
	check := func(asked ...setting) error {
		p.config = asked
		return p.checkKept(t.Context(), tree, append(asked, setting{Option: "CONFIG_FPROBE", Value: "y"}, setting{Option: "CONFIG_NEWER", Value: "y"}), nil)
	}
	if err := check(); err != nil {
		t.Error(err)
	}
	if err := check(setting{Option: "CONFIG_KASAN", Value: "y"}); !isUsage(err, "--config a.config", "does not keep CONFIG_KASAN=y") {
		t.Error(err)
	}
	if err := check(setting{Option: "CONFIG_OLD", Value: "y"}); !isUsage(err, "has no option CONFIG_OLD=y") {
		t.Error(err)
	}
	var many []setting
	for c := range strings.SplitSeq("ABCDEFGHIJKLMN", "") {
		many = append(many, setting{Option: "CONFIG_" + c, Value: "y"})
	}
	if err := check(many...); !isUsage(err, "CONFIG_L=y, and 2 more") {
		t.Error(err)
	}
}
