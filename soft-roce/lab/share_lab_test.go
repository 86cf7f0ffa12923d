//go:build lab

package lab

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"umemstress/soft-roce/lab/internal/labtest"
)

// Whatever root of the guest makes in a shared directory is that to the guest; to the host,
// where the lab is root as well, it is plain files.
func TestShareOfRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("who is not root can make no file of root's, be it from a guest")
	}
	dir := t.TempDir()
	labtest.WriteFile(t, filepath.Join(dir, "own"), "the host's\n")
	c, stdout, _ := shell(t, `cd "$SHARED" && cp own suid && chmod 4755 suid && mknod null c 1 3 && ln -s own link && mkdir -m 750 sub &&
		echo x >sub/file && chmod 600 sub/file && cat own link && test -u suid && test -c null && test -h link && ! stat -c %a sub | grep -v 750 && echo as made`)
	c.NoDevice = true
	c.Shares, c.Env = []string{dir}, []string{"SHARED=" + dir}
	result, err := Run(t.Context(), c)
	if err != nil || result.ExitCode != 0 || stdout.String() != "the host's\nthe host's\nas made\n" {
		t.Errorf("%+v, %v: %q", result, err, stdout)
	}
	checkShared(t, dir, map[string]shared{
		"own": {0o644, "the host's\n"}, "suid": {0o755, "the host's\n"}, "null": {0o600, ""},
		"link": {fs.ModeSymlink | 0o777, "own"}, "sub": {fs.ModeDir | 0o750, ""}, "sub/file": {0o600, "x\n"},
	})
}
