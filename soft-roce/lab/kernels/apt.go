package kernels

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"umemstress/soft-roce/lab/internal/host"
)

// apt fetches packages from the mirror that this machine's apt is configured
// for, verified by apt, without touching the machine's own package lists.
type apt struct {
	dir string // lists and configuration of our own
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

// update reads the package lists of the suites.
func (a *apt) update(ctx context.Context, suites []string) error {
	out, err := host.AptGet.Run(ctx, "indextargets",
		"--format", "$(ORIGIN) $(CODENAME) $(REPO_URI)", "Created-By: Packages")
	if err != nil {
		return err
	}
	sources, err := sourcesList(string(out), suites)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(a.dir, "lists/partial"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(a.dir, "sources.list"), []byte(sources), 0o644); err != nil {
		return err
	}
	// Without the last option, apt-get takes a mirror that does not answer for a
	// warning.
	args := append(a.options(), "update", "-o", "APT::Update::Error-Mode=any")
	if _, err := host.AptGet.Run(ctx, args...); err != nil {
		return fmt.Errorf("read the package lists of %s: %w", strings.Join(suites, ", "), err)
	}
	return nil
}

// sourcesList makes the sources of the suites from what apt is configured for.
// A mirror carries all suites of its archive; the archive of security updates
// is another one, often on another mirror.
func sourcesList(targets string, suites []string) (string, error) {
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
			fmt.Fprintf(&b, "deb [signed-by=%s] %s %s main\n", keyring, uri, suite)
		}
	}
	if b.Len() == 0 {
		return "", errNoMirror
	}
	return b.String(), nil
}

func (a *apt) list(ctx context.Context, suites []string, name string) ([]stockKernel, error) {
	if err := a.update(ctx, suites); err != nil {
		return nil, err
	}
	out, err := host.AptCache.Run(ctx, append(a.options(), "show", "?name(^linux-image-[0-9].*-amd64$)")...)
	if err != nil {
		return nil, err
	}
	return packagesOf(string(out), name), nil
}

// packagesOf reads the kernels called name out of what apt-cache shows.
func packagesOf(shown, name string) []stockKernel {
	var found []stockKernel
	for paragraph := range strings.SplitSeq(shown, "\n\n") {
		fields := controlFields(paragraph)
		release, ok := releaseOfPackage(fields["Package"])
		stock := stockKernel{Release: release, Version: fields["Version"]}
		if ok && stock.check() == nil && stock.is(name) {
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
	// apt-get downloads into its working directory.
	args := append(append(a.options(), "download"), packages...)
	if _, err := host.AptGet.RunAs(ctx, host.Call{Dir: dir}, args...); err != nil {
		return nil, fmt.Errorf("download %s: %w", strings.Join(packages, " "), err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err == nil && len(files) != len(packages) {
		err = fmt.Errorf("apt-get left %d files for %d packages", len(files), len(packages))
	}
	return files, err
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
