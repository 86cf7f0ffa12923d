package build

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/kernels"
)

// kbuild runs the kernel's own build.
type kbuild struct {
	place *place
	jobs  int
	local string // the end of the release
	log   *buildLog
}

// environment takes out of the caller's what would lead the kernel's build astray.
var environment = []string{
	"ARCH=x86_64", "CROSS_COMPILE=", "LLVM=", "MAKEFLAGS=", "MFLAGS=", "MAKELEVEL=", "KCONFIG_CONFIG=.config",
	"KCFLAGS=", "KAFLAGS=", "KCPPFLAGS=", "KBUILD_OUTPUT=", "KBUILD_EXTMOD=", "KBUILD_EXTRA_SYMBOLS=", "KBUILD_VERBOSE=",
	"KBUILD_BUILD_USER=umemstress", "KBUILD_BUILD_HOST=lab",
}

// ccache makes what was compiled in one place serve all others: names within the place are
// taken relative to it, and the debug information of an object may name the place that it was
// compiled in first. CCACHE_DEPEND saves a second pass of the preprocessor over what is not
// cached, and CCACHE_INODECACHE reading a thousand headers anew for each file, which took a
// tenth of a first build.
func (p *place) ccache() []string {
	return []string{"CCACHE_DEPEND=true", "CCACHE_INODECACHE=true", "CCACHE_BASEDIR=" + p.dir, "CCACHE_NOHASHDIR=true"}
}

// run makes targets. What the build says is in the place's log, and of a failed one in the
// error.
func (k *kbuild) run(ctx context.Context, doing string, args ...string) error {
	k.log.begin()
	env := environment
	fixed := []string{"O=" + k.place.out(), "LOCALVERSION=" + k.local, fmt.Sprintf("-j%d", k.jobs)}
	if _, err := host.Ccache.Find(); err == nil {
		fixed = append(fixed, "CC=ccache gcc")
		env = slices.Concat(env, k.place.ccache())
	}
	call := host.Call{Dir: k.place.tree(), Held: k.place.held, Env: env, Out: k.log, Err: k.log}
	_, err := host.Make.RunAs(ctx, call, append(fixed, args...)...)
	if !errors.As(err, new(*host.ToolError)) {
		return err
	}
	said, full := k.log.failure()
	if full {
		return kernels.CacheError(k.place.dir, unix.ENOSPC)
	}
	return fmt.Errorf("%s: make %s: %s; %s has all of it", doing, strings.Join(args, " "), said, k.place.log())
}

// buildLog keeps what a build says in a file, and says how far it is.
type buildLog struct {
	mutex    sync.Mutex
	file     *os.File
	from     int64 // where in the file what make said last begins
	compiled int
	since    time.Time
	told     time.Time
	every    time.Duration // between two words of how far it is
	tell     logrus.FieldLogger
}

func newBuildLog(path string, tell logrus.FieldLogger) (*buildLog, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &buildLog{file: file, since: now, told: now, every: 30 * time.Second, tell: tell}, nil
}

func (l *buildLog) begin() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.from, _ = l.file.Seek(0, io.SeekEnd)
}

func (l *buildLog) Write(p []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.compiled += bytes.Count(p, []byte("  CC  ")) // one that is torn apart is not missed
	if now := time.Now(); l.compiled > 0 && now.Sub(l.told) > l.every {
		l.told = now
		l.tell.Infof("%d files compiled in %s", l.compiled, now.Sub(l.since).Round(time.Second))
	}
	return l.file.Write(p)
}

var (
	blamed = regexp.MustCompile(`(?i)\berror:|fatal error|undefined reference|\*\*\* |No rule to make|FAILED`)
	noRoom = []byte("No space left on device")
)

// failure is the first line that tells why make failed, and whether the disk is full.
func (l *buildLog) failure() (said string, full bool) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if _, err := l.file.Seek(l.from, io.SeekStart); err != nil {
		return err.Error(), false
	}
	defer l.file.Seek(0, io.SeekEnd)
	last := ""
	in := bufio.NewScanner(l.file)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		line := in.Bytes()
		if bytes.Contains(line, noRoom) {
			return "", true
		}
		if said == "" && blamed.Match(line) {
			said = in.Text()
		}
		if len(bytes.TrimSpace(line)) > 0 {
			last = in.Text()
		}
	}
	if said == "" {
		said = last
	}
	const most = 300
	said = strings.Join(strings.Fields(said), " ")
	if len(said) > most {
		said = strings.ToValidUTF8(said[:most], "") + "…"
	}
	return said, false
}

func (l *buildLog) close() error { return l.file.Close() }
