package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/internal/host"
)

// semantic is a semantic patch, for coccinelle.
type semantic struct {
	what  string // for messages
	cocci string
}

// spatching makes diffs of semantic patches, and keeps them: looking through a file takes
// seconds, and through a tree minutes.
type spatching struct {
	base  string
	state string // tells one content of the base from another
	kept  string // directory of diffs
	jobs  int
	log   logrus.FieldLogger
}

// diff is what a semantic patch changes in the base.
func (s *spatching) diff(ctx context.Context, patch semantic) ([]byte, error) {
	var files []string
	for _, file := range filesOf(patch.cocci) {
		if !filepath.IsLocal(file) {
			return nil, host.Usagef("%s: it names the file %s, which is not in the source", patch.what, file)
		}
		if _, err := os.Stat(filepath.Join(s.base, file)); err == nil {
			files = append(files, file)
		}
	}
	named := len(filesOf(patch.cocci)) > 0
	if named && len(files) == 0 {
		return nil, host.Usagef("%s: there is none of %s in this source", patch.what, strings.Join(filesOf(patch.cocci), ", "))
	}
	key, err := s.key(patch, files)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(s.kept, key+".diff")
	if diff, err := os.ReadFile(path); err == nil {
		return diff, nil
	}
	where := files
	if !named {
		where = []string{"--dir", ".", "-j", strconv.Itoa(s.jobs)}
		s.log.Infof("%s: looking through all of the source, which takes minutes; a line '// files: PATH…' in it names where to look", patch.what)
	}
	if err := os.MkdirAll(s.kept, 0o755); err != nil {
		return nil, err
	}
	diff, err := s.run(ctx, patch, filepath.Join(s.kept, key+".cocci"), where)
	if err != nil {
		return nil, err
	}
	return diff, replace(path, bytes.NewReader(diff), 0o644, time.Now())
}

// key tells a semantic patch on one content of the source from others.
func (s *spatching) key(patch semantic, files []string) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%d %s", len(patch.cocci), patch.cocci)
	if len(files) == 0 {
		fmt.Fprint(h, s.state)
	}
	for _, file := range files {
		f, err := os.Open(filepath.Join(s.base, file))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s\n", file)
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

// run has coccinelle look through files, with the semantic patch in a file.
func (s *spatching) run(ctx context.Context, patch semantic, file string, where []string) ([]byte, error) {
	if err := replace(file, strings.NewReader(patch.cocci), 0o644, time.Now()); err != nil {
		return nil, err
	}
	args := append([]string{"--very-quiet", "--sp-file", file, "--patch", "."}, where...)
	diff, err := host.Spatch.RunAs(ctx, host.Call{Dir: s.base}, args...)
	if errors.As(err, new(*host.ToolError)) && !errors.Is(err, unix.ENOSPC) {
		return nil, host.Usagef("%s: coccinelle cannot use it: %v", patch.what, err)
	}
	return diff, err
}
