package filesystem

import "umemstress/workload/scenario"

// xfs is a kind that is made with these options beside those that keep it small and known to 5.10.
func xfs(f scenario.Filesystem, options ...string) Kind {
	f.Reflink, f.Punch, f.ZeroRange = true, true, true
	return Kind{
		Filesystem: f, fstype: "xfs", mkfs: append([]string{"mkfs.xfs", "-q", "-f", "-K"}, options...), pkg: "xfsprogs", version: []string{"-V"}, extra: 320 << 20,
		newer: []feature{ // on since xfsprogs 6.5 and 6.13; they take Linux 5.19 and 6.10
			{"nrext64=", []string{"-i", "nrext64=0"}}, {"exchange=", []string{"-i", "exchange=0"}}, {"parent=", []string{"-n", "parent=0"}},
		},
	}
}

// xfsKinds are those that XFS's code runs. 6.1 has both reflink and DAX in one file system; 5.10 refuses the
// mount with EINVAL ("DAX and reflink cannot be used together!").
func xfsKinds() []Kind {
	plain := xfs(scenario.Filesystem{
		Choice:      scenario.Choice{Name: "xfs", What: "no buffer heads; overwrites shared blocks when it is not told of a write"},
		LargeFolios: true,
	})
	direct := xfs(scenario.Filesystem{
		Choice:  scenario.Choice{Name: "xfs-dax", Like: "xfs", What: "on persistent memory: no page cache; reflink where it can"},
		Backing: scenario.OnPmem,
	}, "-L", ownLabel)
	direct.fewer, direct.mount = []string{"-m", "reflink=0"}, map[string]string{"dax": "always"}
	// Less than 300 MiB newer ones of the program (6.1) make for XFS's own tests alone, which it knows
	// by these. A guest would have to be given so much persistent memory.
	direct.extra, direct.env = 56<<20, []string{"TEST_DIR=1", "TEST_DEV=1", "QA_CHECK_FS=1"}
	return []Kind{plain, direct}
}
