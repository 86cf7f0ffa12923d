package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/kernels"
)

// place is the directory of the cache in which kernels of one source are built, one at a time.
type place struct {
	dir  string
	held *os.File // locked, and inherited by what builds there
	tell logrus.FieldLogger
}

func (p *place) out() string   { return filepath.Join(p.dir, "out") }
func (p *place) tree() string  { return filepath.Join(p.dir, "tree") }
func (p *place) stage() string { return filepath.Join(p.dir, "stage") } // files that are being patched
func (p *place) log() string   { return filepath.Join(p.dir, "log") }

// configured is what configuration the last one was made of, where it is what was asked for.
func (p *place) configured() string { return filepath.Join(p.dir, "configured") }

// last is the file of the key of the kernel that was put into the store last under a name.
func (p *place) last(name string) string { return filepath.Join(p.dir, "last-"+name) }

// busy exists as long as a build goes on there, and what it has begun is not to be trusted.
func (p *place) busy() string { return filepath.Join(p.dir, "busy") }

var unfit = regexp.MustCompile(`[^0-9A-Za-z.+_-]+`)

// placeOf is the place of a source: of a directory by its path, of a package by its name.
func placeOf(cache, source string) (string, error) {
	name := source
	if isDirectory(source) {
		abs, err := filepath.Abs(source)
		if err != nil {
			return "", err
		}
		if real, err := filepath.EvalSymlinks(abs); err == nil {
			abs = real
		}
		sum := sha256.Sum256([]byte(abs))
		name = unfit.ReplaceAllString(filepath.Base(abs), "-") + "-" + hex.EncodeToString(sum[:4])
	}
	return filepath.Join(cache, "build", name), nil
}

// openPlace waits until nobody else builds there.
func openPlace(ctx context.Context, dir string, tell logrus.FieldLogger) (*place, error) {
	if err := kernels.MakeDir(dir); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, kernels.CacheError(dir, err)
	}
	for said := false; ; {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", dir, err)
		}
		if !said {
			tell.Infof("another build of this source is going on in %s; waiting for it", dir)
			said = true
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	p := &place{dir: dir, held: f, tell: tell}
	if err := p.repair(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *place) close() error { return p.held.Close() }

// begin marks the place as one where a build goes on. A build that ends in order, whatever
// came of it, unmarks it.
func (p *place) begin() error { return os.WriteFile(p.busy(), []byte(bootID()), 0o644) }
func (p *place) end() error   { return os.Remove(p.busy()) }

// tornWithin is how long before its end a build that was killed may have written what it did
// not finish. Who is killed writes no more, so that the newest file tells of the end.
const tornWithin = 3 * time.Second

// repair takes away what a build that was killed may have left half written, which make would
// take for finished. After a crash of the machine nothing can be trusted.
func (p *place) repair() error {
	was, err := os.ReadFile(p.busy())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if string(was) != bootID() {
		p.tell.Infof("the machine went down during the last build in %s; starting it anew", p.dir)
		return errors.Join(os.RemoveAll(p.out()), os.RemoveAll(p.configured()), os.Remove(p.busy()))
	}
	p.tell.Infof("the last build in %s was interrupted; going on where it was", p.dir)
	if err := os.RemoveAll(p.configured()); err != nil {
		return err
	}
	newest := time.Time{}
	if err := eachFile(p.out(), func(_ string, info fs.FileInfo) error {
		if info.ModTime().After(newest) {
			newest = info.ModTime()
		}
		return nil
	}); err != nil {
		return err
	}
	if err := eachFile(p.out(), func(path string, info fs.FileInfo) error {
		if info.ModTime().Before(newest.Add(-tornWithin)) {
			return nil
		}
		return os.Remove(path)
	}); err != nil {
		return err
	}
	return os.Remove(p.busy())
}

// eachFile calls do for each regular file below dir; there may be none.
func eachFile(dir string, do func(path string, info fs.FileInfo) error) error {
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return do(path, info)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// bootID tells one boot of the machine from another.
func bootID() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // without it, as if it were the same
	return strings.TrimSpace(string(id))
}
