package kernels

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/internal/host"
)

// apt fetches packages from the mirror that this machine's apt is configured
// for, verified by apt, without touching the machine's own package lists.
type apt struct {
	dir      string                    // lists and configuration of our own
	sources  bool                      // of source packages, and not of binary ones
	patience time.Duration             // with an apt-get that makes no progress; 0: patience
	log      func() logrus.FieldLogger // of the store; nil: logrus's own
}

func (a *apt) said() logrus.FieldLogger {
	if a.log == nil {
		return host.Log(nil)
	}
	return a.log()
}

// keyring signs all of Debian's suites (package debian-archive-keyring).
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// options point apt to our own directories. As root, apt would download as the
// user _apt, who cannot write there.
func (a *apt) options() []string {
	var options []string
	for _, o := range []string{
		"Dir::Etc::SourceList=" + filepath.Join(a.dir, "sources.list"),
		"Dir::Etc::SourceParts=/dev/null",
		"Dir::Etc::Preferences=/dev/null",
		"Dir::Etc::PreferencesParts=/dev/null",
		"Dir::State=" + a.dir,
		"Dir::State::status=/dev/null",
		"Dir::Cache=" + a.dir,
		"Acquire::Languages=none",
		"Acquire::Retries=3",
		"APT::Architecture=amd64",
		"APT::Sandbox::User=",
	} {
		options = append(options, "-o", o)
	}
	return options
}

// listBytes is ample for the package lists of the suites, packed and while they are read.
const listBytes = 150 << 20

// update reads the package lists of the suites.
func (a *apt) update(ctx context.Context, suites []string) error {
	out, err := host.AptGet.Run(ctx, "indextargets",
		"--format", "$(ORIGIN) $(CODENAME) $(REPO_URI)", "Created-By: Packages")
	if err != nil {
		return err
	}
	kind := "deb"
	if a.sources {
		kind = "deb-src"
	}
	sources, err := sourcesList(kind, string(out), suites)
	if err != nil {
		return err
	}
	if err := MakeDir(filepath.Join(a.lists(), "partial")); err != nil {
		return err
	}
	if err := wantRoom(a.cache(), listBytes, "reading package lists"); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(a.dir, "sources.list"), []byte(sources), 0o644); err != nil {
		return err
	}
	// Without the last option, apt-get takes a mirror that does not answer for a
	// warning.
	_, err = a.get(ctx, a.dir, "update", "-o", "APT::Update::Error-Mode=any")
	return err
}

// cache is what is full when there is no room.
func (a *apt) cache() string { return filepath.Dir(a.dir) }

func (a *apt) lists() string { return filepath.Join(a.dir, "lists") }

// shownImages are the packages of kernels.
const shownImages = "?name(^linux-image-[0-9].*-amd64$)"

// show reads the package lists of the suites, and what they say of kernels.
func (a *apt) show(ctx context.Context, suites []string) (string, error) {
	return a.ask(ctx, suites, "show", shownImages)
}

// ask reads the package lists of the suites, and has apt-cache answer from them. Lists that
// were damaged since they were fetched are fetched again: apt-get takes them for good as long
// as the mirror has no newer ones.
func (a *apt) ask(ctx context.Context, suites []string, question ...string) (string, error) {
	for again := false; ; again = true {
		err := a.update(ctx, suites)
		var out []byte
		if updated := err == nil; updated {
			out, err = host.AptCache.Run(ctx, append(a.options(), question...)...)
		} else if again && errors.As(err, new(*host.ToolError)) && !errors.Is(err, unix.ENOSPC) {
			return "", host.Lacksf("read the package lists of %s from the mirror of this machine's apt: %w; "+
				"is the mirror to be reached? A package file needs none: --kernel FILE.deb", strings.Join(suites, ", "), err)
		}
		if err == nil || again || !errors.As(err, new(*host.ToolError)) || errors.Is(err, unix.ENOSPC) {
			return string(out), err
		}
		a.said().Debugf("lab: reading the package lists anew: %v", err)
		for _, path := range []string{a.lists(), filepath.Join(a.dir, "pkgcache.bin"), filepath.Join(a.dir, "srcpkgcache.bin")} {
			if err := os.RemoveAll(path); err != nil {
				return "", err
			}
		}
	}
}

// sourcesList makes the sources of the suites from what apt is configured for.
// A mirror carries all suites of its archive; the archive of security updates
// is another one, often on another mirror.
func sourcesList(kind, targets string, suites []string) (string, error) {
	var archive, security string
	for line := range strings.Lines(targets) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[0] != "Debian" {
			continue
		}
		if strings.HasSuffix(fields[1], "-security") {
			security = fields[2]
		} else if archive == "" {
			archive = fields[2]
		}
	}
	var b strings.Builder
	for _, suite := range suites {
		uri := archive
		if strings.HasSuffix(suite, "-security") {
			uri = security
		}
		if uri != "" {
			fmt.Fprintf(&b, "%s [signed-by=%s] %s %s main\n", kind, keyring, uri, suite)
		}
	}
	if b.Len() == 0 {
		return "", errNoMirror
	}
	return b.String(), nil
}

func (a *apt) list(ctx context.Context, suites []string) ([]stockKernel, error) {
	shown, err := a.show(ctx, suites)
	return packagesOf(shown), err
}

// packagesOf reads the kernels out of what apt-cache shows.
func packagesOf(shown string) []stockKernel {
	var found []stockKernel
	for paragraph := range strings.SplitSeq(shown, "\n\n") {
		fields := controlFields(paragraph)
		release, ok := releaseOfPackage(fields["Package"])
		stock := stockKernel{Release: release, Version: fields["Version"]}
		if ok && stock.check() == nil {
			found = append(found, stock)
		}
	}
	return found
}

func (a *apt) fetch(ctx context.Context, stock stockKernel, dir string) ([]string, error) {
	pkg := "linux-image-" + stock.Release + "=" + stock.Version
	out, err := host.AptCache.Run(ctx, append(a.options(), "show", pkg)...)
	if err != nil {
		return nil, err
	}
	packages := append([]string{pkg}, parts(controlFields(string(out))["Depends"], stock)...)
	if len(packages) > 1 {
		if out, err = host.AptCache.Run(ctx, append(append(a.options(), "show"), packages...)...); err != nil {
			return nil, err
		}
	}
	if err := wantRoom(a.cache(), roomFor(string(out)), "kernel "+stock.Release); err != nil {
		return nil, err
	}
	if _, err := a.get(ctx, dir, append([]string{"download"}, packages...)...); err != nil {
		return nil, fmt.Errorf("download %s: %w", strings.Join(packages, " "), err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err == nil && len(files) != len(packages) {
		err = fmt.Errorf("apt-get left %d files for %d packages", len(files), len(packages))
	}
	return files, err
}

// preparedBytes is ample for what is made of a kernel's packages: its image unpacked, and
// the modules that the guest boots with.
const preparedBytes = 120 << 20

// roomFor is what the packages that are shown take, as files and unpacked.
func roomFor(shown string) int64 {
	need := int64(preparedBytes)
	for paragraph := range strings.SplitSeq(strings.TrimSpace(shown), "\n\n") {
		fields := controlFields(paragraph)
		size, _ := strconv.ParseInt(fields["Size"], 10, 64)                // of a package file: not said
		installed, _ := strconv.ParseInt(fields["Installed-Size"], 10, 32) // KiB
		need += max(size, 0) + max(installed, 0)<<10
	}
	return need
}

// A package begins with a letter or a digit: apt-get would take -o for an option.
var dependency = regexp.MustCompile(`^\s*([a-z0-9][a-z0-9+.-]*)\s*\(=\s*(\S+)\)\s*$`)

// parts picks the packages that a kernel is split into from the Depends field of
// its image: those of the same release and version. Before 7.x there are none.
func parts(depends string, stock stockKernel) []string {
	var packages []string
	for dep := range strings.SplitSeq(depends, ",") {
		m := dependency.FindStringSubmatch(dep)
		if m != nil && strings.HasSuffix(m[1], "-"+stock.Release) && m[2] == stock.Version {
			packages = append(packages, m[1]+"="+m[2])
		}
	}
	return packages
}

// controlFields reads a paragraph of Debian's control format.
func controlFields(paragraph string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(paragraph) {
		if name, value, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, " ") {
			fields[name] = strings.TrimSpace(value)
		}
	}
	return fields
}
