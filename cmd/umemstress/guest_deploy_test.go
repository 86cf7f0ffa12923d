//go:build guest

package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// asService makes the command one with the privileges and the limits of the systemd unit.
func asService(t *testing.T, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	bound := "-all"
	for _, name := range unitCapabilities(t) {
		bound += ",+" + strings.ToLower(name)
	}
	setpriv := []string{"setpriv", "--bounding-set", bound, "--inh-caps", "-all", "--no-new-privs"}
	prlimit := []string{"prlimit", "--rtprio=" + unitSettings(t, "LimitRTPRIO")[0]}
	service := exec.Command(prlimit[0], slices.Concat(prlimit[1:], setpriv, cmd.Args)...)
	service.Env = cmd.Env
	return service
}

// beginService is beginObserving as the systemd unit does it.
func beginService(t *testing.T, args ...string) *observation {
	t.Helper()
	return follow(t, asService(t, command(append([]string{"observe", "--format", "json"}, args...)...)))
}

// inPackageRoot runs a shell script in a copy of this machine's file tree, and returns what it
// said. Its $1 is the package, its $2 a database for dpkg, which would read that of the host for
// half a minute; the package depends on none. dir is what the script changed in the tree.
func inPackageRoot(t *testing.T, script string) (said, dir string) {
	t.Helper()
	found, err := filepath.Glob("../../bin/umemstress_*_amd64.deb")
	if err != nil || len(found) != 1 {
		t.Fatalf("%q, %v: 'make deb' makes the package", found, err)
	}
	deb, err := filepath.Abs(found[0])
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for _, name := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// The mounts are the shell's alone, and go with it. As in a container, no systemd runs.
	cmd := exec.Command("unshare", "--mount", "sh", "-ec", `cd "$1"
		mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
		for d in proc sys dev; do mount --rbind /$d root/$d; done
		mount -t tmpfs tmpfs root/run
		mkdir -p root/run/dpkg/info root/run/dpkg/updates root/run/dpkg/triggers
		touch root/run/dpkg/status root/run/dpkg/available
		exec chroot root sh -exc "$2" sh "$3" /run/dpkg`, "sh", dir, script, deb)
	cmd.Env = append(os.Environ(), "TMPDIR=/tmp", "DEBIAN_FRONTEND=noninteractive")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out), filepath.Join(dir, "upper")
}

// The Debian package brings the command, its service, its pages and completions, works from
// where it is installed, and leaves nothing once it is purged.
func TestPackage(t *testing.T) {
	if *expectVerdict != "data-lost" {
		return // once is enough: the kernel plays little part in it
	}
	said, changed := inPackageRoot(t, `
		dpkg="dpkg --admindir=$2 --force-unsafe-io"
		$dpkg --install "$1"
		systemctl --quiet enable umemstress-observe.service
		test -e /etc/systemd/system/multi-user.target.wants/umemstress-observe.service
		test -s /usr/share/man/man1/umemstress-observe.1.gz
		test -s /usr/share/bash-completion/completions/umemstress
		test -s /usr/share/zsh/vendor-completions/_umemstress
		test -s /usr/share/fish/vendor_completions.d/umemstress.fish
		test -s /usr/share/doc/umemstress/copyright
		/usr/bin/umemstress observe --dry-run
		mkdir -p /var/lib/umemstress/journal
		$dpkg --purge umemstress`)
	if !strings.Contains(said, "page dirtied") || !strings.Contains(said, " on ") {
		t.Errorf("observe --dry-run said:\n%s", said)
	}
	for _, path := range leftIn(t, changed) {
		t.Errorf("left %s", path)
	}
}

// leftIn are the files in what an overlay has of its own, and the directories that were not
// there before, but for dpkg's log.
func leftIn(t *testing.T, upper string) []string {
	t.Helper()
	var left []string
	err := filepath.WalkDir(upper, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == upper {
			return err
		}
		name := strings.TrimPrefix(path, upper)
		before, err := os.Stat(name)
		if name != "/var/log/dpkg.log" && (!d.IsDir() || err != nil || !before.IsDir()) {
			left = append(left, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return left
}
