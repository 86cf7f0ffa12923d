package build

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/kernels"
)

// Options say what to build. Source alone is required.
type Options struct {
	Source     string // a directory, or the name of a kernel that Debian has: a series or a version
	AllowDirty bool   // build what is not committed in the directory, too
	Fresh      bool   // ask the mirror for the newest source, though one is here

	Without  []string // commits of fixes to take out
	Patches  []string // files for patch -p1
	Semantic []string // files for coccinelle
	Config   []string // files of fragments on top of the lab's

	Name string // in the store; empty: by the source and what is taken out
	Jobs int    // 0: as many as this machine has processors

	Log logrus.FieldLogger // what a person may want to know meanwhile; nil: logrus's own logger
}

// Result is a kernel that was built.
type Result struct {
	Kernel  kernels.Kernel
	Built   kernels.Built
	Version string
	Seconds float64
	CPU     float64 // seconds of processors, of all that was run
}

// Build builds a kernel and puts it into the store.
func Build(ctx context.Context, store *kernels.Store, options Options) (Result, error) {
	start, before := time.Now(), childrenCPU()
	p, err := newPlan(options)
	if err != nil {
		return Result{}, err
	}
	if err := checkTools(ctx, p.tools()...); err != nil {
		return Result{}, err
	}
	cache, err := kernels.CacheDir()
	if err != nil {
		return Result{}, err
	}
	dir, err := placeOf(cache, p.Source)
	if err != nil {
		return Result{}, err
	}
	at, err := openPlace(ctx, dir, p.Log)
	if err != nil {
		return Result{}, err
	}
	defer at.close()
	r, err := p.buildAt(ctx, store, at)
	if err != nil {
		return Result{}, kernels.CacheError(dir, err)
	}
	r.Seconds = time.Since(start).Seconds()
	r.CPU = (childrenCPU() - before).Seconds()
	return r, nil
}

// outBytes and againBytes are ample for what the kernel's build makes, the first time and
// when most of it is there.
const (
	outBytes   = 4 << 30
	againBytes = 500 << 20
)

func (p *plan) buildAt(ctx context.Context, store *kernels.Store, at *place) (Result, error) {
	src, err := p.source(ctx, store, at)
	if err != nil {
		return Result{}, err
	}
	changes, err := p.changes(ctx, src, at)
	if err != nil {
		return Result{}, ofSource(ctx, err)
	}
	key, err := p.key(ctx, src, changes)
	if err != nil {
		return Result{}, err
	}
	if r, ok := p.asBuilt(ctx, store, at, src, key); ok {
		p.Log.Infof("kernel %s is in the store as it would be built", p.Name)
		return r, nil
	}
	need := int64(againBytes)
	if !isDir(at.out()) {
		need = outBytes
	}
	if err := kernels.WantRoom(at.dir, need, "building a kernel"); err != nil {
		return Result{}, err
	}
	m := mirror{base: src.dir, files: src.files, altered: changes, dst: at.tree(), link: src.link}
	p.Log.Infof("building kernel %s from %s", p.Name, src.label)
	changed, err := m.sync(ctx)
	if err != nil {
		return Result{}, err
	}
	p.Log.Debugf("%d files of the source differ from what was built last", changed)
	if changed > 0 { // Kconfig files may be among them
		if err := os.RemoveAll(at.configured()); err != nil {
			return Result{}, err
		}
	}

	log, err := newBuildLog(at.log(), p.Log)
	if err != nil {
		return Result{}, err
	}
	defer log.close()
	k := &kbuild{place: at, jobs: p.Jobs, local: p.local(), log: log}
	if err := at.begin(); err != nil {
		return Result{}, err
	}
	err = p.make(ctx, k)
	if ctx.Err() == nil { // else it was killed, and the next one has to know
		err = errors.Join(err, at.end())
	}
	if err != nil {
		return Result{}, ofSource(ctx, err)
	}
	r, err := p.install(ctx, store, k, src)
	if err != nil {
		return Result{}, err
	}
	return r, os.WriteFile(at.last(p.Name), []byte(key), 0o644)
}

func (p *plan) source(ctx context.Context, store *kernels.Store, at *place) (source, error) {
	if isDirectory(p.Source) {
		return ownSource(ctx, p.Source, p.AllowDirty)
	}
	return p.debianSource(ctx, store, at.dir)
}

// changes are what the fixes taken out and the patches make of files.
func (p *plan) changes(ctx context.Context, src source, at *place) (map[string]altered, error) {
	s := spatching{base: src.dir, state: src.state, kept: filepath.Join(at.dir, "diffs"), jobs: p.Jobs, log: p.Log}
	var all []change
	for _, patch := range p.semantic {
		diff, err := s.diff(ctx, patch)
		if err != nil {
			return nil, err
		}
		if len(strings.TrimSpace(string(diff))) == 0 {
			return nil, host.Usagef("%s: it finds nothing to change in %s (kernel %s): either the kernel does not have that, or has it in other words", patch.what, src.label, src.version)
		}
		all = append(all, change{patch.what, diff})
	}
	all = append(all, p.patches...)
	if err := os.RemoveAll(at.stage()); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, nil
	}
	if err := os.Mkdir(at.stage(), 0o755); err != nil {
		return nil, err
	}
	defer os.RemoveAll(at.stage())
	return applyAll(ctx, src.dir, at.stage(), all)
}

// make configures and compiles.
func (p *plan) make(ctx context.Context, k *kbuild) error {
	if err := p.configure(ctx, k); err != nil {
		return err
	}
	p.Log.Infof("compiling with %d jobs; %s has what make says", k.jobs, k.place.log())
	return k.run(ctx, "compile the kernel", "bzImage", "modules")
}

// childrenCPU is what the processes took that this one has waited for.
func childrenCPU() time.Duration {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_CHILDREN, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
