package build

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/kernels"
)

// plan is what the options come to before anything is made.
type plan struct {
	Options
	fixes    []Fix
	patches  []change
	semantic []semantic
	config   []setting // of the fragments
}

// newPlan reads what the options name, and refuses what cannot be.
func newPlan(o Options) (*plan, error) {
	p := &plan{Options: o}
	p.Log = host.Log(p.Log)
	if p.Jobs == 0 {
		p.Jobs = runtime.NumCPU()
	}
	if p.Jobs < 1 {
		return nil, host.Usagef("--jobs %d: choose 1 or more", p.Jobs)
	}
	if isDirectory(p.Source) {
		if _, err := checkTree(p.Source); err != nil {
			return nil, err
		}
		if p.Fresh {
			return nil, host.Usagef("--fetch: %s is a directory; it takes the name of a kernel that Debian has", p.Source)
		}
	} else if err := kernels.CheckSource(p.Source); err != nil {
		return nil, err
	} else if p.AllowDirty {
		return nil, host.Usagef("--allow-dirty: it is about a directory, and --source %s is Debian's", p.Source)
	}
	for _, commit := range p.Without {
		fix, err := fixNamed(commit)
		if err != nil {
			return nil, err
		}
		if slices.Contains(p.fixes, fix) {
			return nil, host.Usagef("--without-fix %s: it is named twice", commit)
		}
		p.fixes = append(p.fixes, fix)
		p.semantic = append(p.semantic, semantic{"--without-fix " + fix.Commit, fix.cocci})
	}
	for _, path := range p.Patches {
		text, err := readFile("--patch", path)
		if err != nil {
			return nil, err
		}
		if len(pathsIn(text)) == 0 {
			return nil, host.Usagef("--patch %s: it is no patch in diff's unified format (diff -u, git diff)", path)
		}
		p.patches = append(p.patches, change{"--patch " + path, text})
	}
	for _, path := range p.Semantic {
		text, err := readFile("--semantic-patch", path)
		if err != nil {
			return nil, err
		}
		if !strings.Contains(string(text), "@@") && !strings.Contains(string(text), "@ ") {
			return nil, host.Usagef("--semantic-patch %s: it has no rule of coccinelle, which begins with @@", path)
		}
		p.semantic = append(p.semantic, semantic{"--semantic-patch " + path, string(text)})
	}
	for _, path := range p.Config {
		text, err := readFile("--config", path)
		if err != nil {
			return nil, err
		}
		settings, err := parseConfig("--config "+path, string(text))
		if err != nil {
			return nil, err
		}
		p.config = append(p.config, settings...)
	}
	p.Name = cmp.Or(p.Name, p.defaultName())
	return p, kernels.CheckName(p.Name)
}

// readFile reads a file that a flag names.
func readFile(flag, path string) ([]byte, error) {
	const most = 64 << 20 // more than any patch or configuration
	st, err := os.Stat(path)
	if err == nil && (!st.Mode().IsRegular() || st.Size() > most) {
		err = errors.New("it is no file of text")
	}
	if err != nil {
		return nil, host.Usagef("%s %s: %v", flag, path, pathless(err))
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, host.Usagef("%s %s: %v", flag, path, pathless(err))
	}
	return text, nil
}

// pathless is an error of a file that is named already.
func pathless(err error) error {
	var of *os.PathError
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

// base is how the source is called in names.
func (p *plan) base() string {
	if !isDirectory(p.Source) {
		return p.Source
	}
	abs, err := filepath.Abs(p.Source)
	if err != nil {
		abs = p.Source
	}
	return strings.Trim(unfit.ReplaceAllString(filepath.Base(abs), "-"), "-.+_")
}

// defaultName says of what source a kernel is and what was taken out.
func (p *plan) defaultName() string {
	recipe := kernels.Recipe{Source: p.base()}
	for _, fix := range p.fixes {
		recipe.Without = append(recipe.Without, fix.Commit)
	}
	name := recipe.Name()
	if len(p.Patches)+len(p.Semantic) > 0 {
		name += "-patched"
	}
	if name == p.base() {
		name += "-built"
	}
	return name
}

// local is the end of the kernel's release: its name, without the source where that is a
// version already.
func (p *plan) local() string {
	if rest, ok := strings.CutPrefix(p.Name, p.base()+"-"); ok {
		return "-" + rest
	}
	return "-" + p.Name
}

// tools are those that not every build takes.
func (p *plan) tools() []host.Tool {
	var tools []host.Tool
	if isDirectory(p.Source) {
		if hasGit(p.Source) {
			tools = append(tools, host.Git)
		}
	} else {
		tools = append(tools, host.AptGet, host.DpkgSource)
	}
	if len(p.semantic) > 0 {
		tools = append(tools, host.Spatch)
	}
	if len(p.semantic)+len(p.Patches) > 0 {
		tools = append(tools, host.Patch)
	}
	return tools
}
