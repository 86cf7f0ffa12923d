package build

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"umemstress/soft-roce/lab/internal/host"
)

// compiling is a tree whose build compiles one file the way that the kernel's does.
var compiling = map[string]string{
	"include/a.h": "#define A __FILE__\n",
	"a.c":         "#include <a.h>\nconst char *where(void) { return A; }\n",
	"Makefile": `a.o:
	cd $(O) && $(CC) -Wp,-MMD,.a.o.d -I$(CURDIR)/include -I./include -fmacro-prefix-map=$(CURDIR)/= -g -c -o a.o $(CURDIR)/a.c
`,
}

// What was compiled in one place is not compiled again in another one, with ccache: each
// source directory of a bisection would begin with all of the kernel.
func TestCompiledOnce(t *testing.T) {
	for _, tool := range []host.Tool{host.Ccache, host.Make} {
		if _, err := tool.Find(); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("CCACHE_DIR", t.TempDir())
	t.Setenv("CCACHE_CONFIGPATH", filepath.Join(t.TempDir(), "none"))
	hits := regexp.MustCompile(`(?m)^direct_cache_hit\t(\d+)$`)
	for _, want := range []string{"0", "1"} {
		at := &place{dir: t.TempDir()}
		lay(t, at.tree(), compiling)
		if err := os.Mkdir(at.out(), 0o755); err != nil {
			t.Fatal(err)
		}
		log, err := newBuildLog(at.log(), host.Log(nil))
		if err != nil {
			t.Fatal(err)
		}
		defer log.close()
		if at.held, err = os.Open(at.dir); err != nil {
			t.Fatal(err)
		}
		defer at.close()
		k := &kbuild{place: at, jobs: 1, log: log}
		if err := k.run(t.Context(), "compile", "a.o"); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(at.out(), "a.o")); err != nil {
			t.Error(err)
		}
		stats, err := exec.Command("ccache", "--print-stats").Output()
		if err != nil {
			t.Fatal(err)
		}
		if m := hits.FindSubmatch(stats); m == nil || string(m[1]) != want {
			t.Errorf("%s hits: %q of\n%s", want, m, stats)
		}
	}
}
