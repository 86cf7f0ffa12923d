package faults

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

//go:embed testdata/commands.txt
var commandsText string

// wrongCommand is a command line with what it is to end in.
type wrongCommand struct {
	line  int // of the table
	codes []string
	args  []string
	says  *regexp.Regexp
}

var word = regexp.MustCompile(`"(?:\\.|[^"\\])*"|\S+`)

func wrongCommands(t *testing.T) []wrongCommand {
	t.Helper()
	var all []wrongCommand
	for i, text := range strings.Split(commandsText, "\n") {
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		columns := strings.Split(text, "\t")
		if len(columns) != 3 {
			t.Fatalf("commands.txt:%d: %d columns, not 3", i+1, len(columns))
		}
		c := wrongCommand{line: i + 1, codes: strings.Split(columns[0], ",")}
		for _, arg := range word.FindAllString(columns[1], -1) {
			if strings.HasPrefix(arg, `"`) {
				var err error
				if arg, err = strconv.Unquote(arg); err != nil {
					t.Fatalf("commands.txt:%d: %v", i+1, err)
				}
			}
			c.args = append(c.args, arg)
		}
		var err error
		if c.says, err = regexp.Compile(columns[2]); err != nil {
			t.Fatalf("commands.txt:%d: %v", i+1, err)
		}
		all = append(all, c)
	}
	return all
}

// bench is a directory with what the table's command lines name, and an environment in which
// none of them gets as far as a mirror or a guest.
func bench(t *testing.T) (dir string, env []string) {
	t.Helper()
	dir = t.TempDir()
	const kernel = "cache/umemstress/kernels/5.10.0-1-amd64_5.10.1-1/"
	for name, content := range map[string]string{
		"file": "text", "cut.deb": "!<arch>\n", "empty/run.json": "", "deep/run.json": strings.Repeat("[", 1<<20),
		"other/run.json": `{"schema": "fio/v3"}`, "dir/": "", "dir.deb/": "", "pipe/": "",
		"configured/.config": "CONFIG_X86_64=y\n", "arm64/.config": "# Linux/arm64 6.9.0 Kernel Configuration\nCONFIG_ARM64=y\n",
		"imageless/lib/modules/6.9.0/modules.order": "",
		kernel + "kernel.json":                      `{"Release": "5.10.0-1-amd64", "Version": "5.10.1-1"}`,
		kernel + "vmlinuz":                          "", kernel + "boot-modules-3.cpio": "",
		kernel + "lib/modules/5.10.0-1-amd64/modules.dep": "",
	} {
		path := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			makeDir(t, path)
			continue
		}
		makeDir(t, filepath.Dir(path))
		write(t, path, content)
	}
	if err := os.CopyFS(filepath.Join(dir, "held"), os.DirFS("testdata/evidence")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(dir, "pipe/run.json"), 0o644); err != nil {
		t.Fatal(err)
	}
	makeDir(t, filepath.Join(dir, "cache/umemstress/kernels/by-name"))
	makeDir(t, filepath.Join(dir, "bin"))
	links := map[string]string{"cache/umemstress/kernels/by-name/5.10": "../" + filepath.Base(kernel)}
	for name, tool := range map[string]string{"dpkg": "dpkg", "dpkg-deb": "dpkg-deb", "tar": "tar", "true": "true", "qemu-system-x86_64": "false"} {
		path, err := exec.LookPath(tool)
		if err != nil {
			t.Fatal(err)
		}
		links[filepath.Join("bin", name)] = path
	}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir, []string{"XDG_CACHE_HOME=" + filepath.Join(dir, "cache"), "UMEMSTRESS_KERNEL_DIR=", "PATH=" + filepath.Join(dir, "bin")}
}

// clearEvidence takes away what a run of the table has left in the bench, if it got that far.
func clearEvidence(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "umemstress-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(left, filepath.Join(dir, "out")) {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
}

func makeDir(t testing.TB, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Each wrong command line ends soon, in its exit code and one sentence, with nothing on
// stdout.
func TestWrongCommands(t *testing.T) {
	commands := wrongCommands(t)
	if len(commands) < 120 {
		t.Errorf("%d command lines; there were 120 and more", len(commands))
	}
	dir, env := bench(t)
	var longest time.Duration
	for _, c := range commands {
		clearEvidence(t, dir)
		p := start(t, env, append([]string{"/bin/sh", "-c", `cd "$0" && exec "$@"`, dir, program(t)}, c.args...)...)
		var faults []string
		if !p.ended(10 * time.Second) {
			faults = append(faults, "it was not at its end after 10 s")
		} else {
			longest = max(longest, time.Since(p.started))
			if !slices.Contains(c.codes, strconv.Itoa(p.code())) {
				faults = append(faults, fmt.Sprintf("exit code %d, want %s", p.code(), strings.Join(c.codes, " or ")))
			}
			if wrong := wrongSentence(p.stderr.String()); wrong != "" {
				faults = append(faults, wrong)
			} else if !c.says.MatchString(p.stderr.String()) {
				faults = append(faults, fmt.Sprintf("it does not say %q", c.says))
			}
			if p.stdout.Len() > 0 {
				faults = append(faults, "stdout has something")
			}
		}
		if len(faults) > 0 {
			t.Errorf("commands.txt:%d: umemstress %q: %s: %s", c.line, c.args, strings.Join(faults, "; "), p)
		}
	}
	fmt.Printf("%d wrong command lines, each at its end within %s\n", len(commands), longest.Round(time.Millisecond))
}
