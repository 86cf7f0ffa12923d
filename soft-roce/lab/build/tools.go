package build

import (
	"context"
	"slices"
	"strings"

	"umemstress/soft-roce/lab/internal/host"
)

// needed are the programs that every build of a kernel takes.
var needed = []host.Tool{host.GCC, host.Ld, host.Make, host.Bc, host.Bison, host.Flex, host.Pahole, host.Perl, host.Depmod}

// headers are what programs of the kernel's build are made with, and Debian's packages of them.
var headers = []struct{ file, pkg string }{{"stdlib.h", "libc6-dev"}, {"gelf.h", "libelf-dev"}}

// checkTools names all that this host lacks, in one sentence.
func checkTools(ctx context.Context, also ...host.Tool) error {
	var names, packages []string
	lack := func(name, pkg string) {
		names = append(names, name)
		if !slices.Contains(packages, pkg) {
			packages = append(packages, pkg)
		}
	}
	for _, tool := range append(slices.Clone(needed), also...) {
		if _, err := tool.Find(); err != nil {
			lack(string(tool), tool.Package())
		}
	}
	if !slices.Contains(names, string(host.GCC)) {
		for _, h := range headers {
			in := strings.NewReader("#include <" + h.file + ">\n")
			if _, err := host.GCC.RunAs(ctx, host.Call{In: in}, "-E", "-o", "/dev/null", "-x", "c", "-"); ctx.Err() != nil {
				return err
			} else if err != nil {
				lack("<"+h.file+">", h.pkg)
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	return host.Lacksf("to build a kernel this host lacks %s: install what has them with 'apt-get install --no-install-recommends %s'",
		strings.Join(names, ", "), strings.Join(packages, " "))
}
