package remedy

import (
	"slices"
	"strings"
	"testing"

	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// Which kernel it is, in the words of uname and of oopses.
func TestParseKernel(t *testing.T) {
	for in, want := range map[[2]string]Kernel{
		{"5.10.0-46-amd64", "#1 SMP Debian 5.10.262-1 (2026-07-31)"}: {upstream: [3]int{5, 10, 262}, patch: true},
		{"5.10.0-46-amd64", "#1 Debian 5.10.262-1"}:                  {upstream: [3]int{5, 10, 262}, patch: true},
		{"5.10.0-46-amd64", ""}:                                      {upstream: [3]int{5, 10, 0}, abi: 46},
		{"5.10.0-46-rt-amd64", ""}:                                   {upstream: [3]int{5, 10, 0}, abi: 46},
		{"5.10.262-bug", "#1"}:                                       {upstream: [3]int{5, 10, 262}, patch: true},
		{"7.2.13+deb14-amd64", "#1 PREEMPT(lazy)  Debian 7.2.13-1"}:  {upstream: [3]int{7, 2, 13}, patch: true},
		{"6.6.1", ""}: {upstream: [3]int{6, 6, 1}, patch: true},
		{"6.6", ""}:   {upstream: [3]int{6, 6, 0}, patch: true},
		{"3.10.0-514.21.1.el7.debug_bz1368895.x86_64", "#1"}: {upstream: [3]int{3, 10, 0}, vendor: "Red Hat's or one made from it"},
		{"5.15.0-91-generic", "#101-Ubuntu SMP"}:             {upstream: [3]int{5, 15, 0}, vendor: "Ubuntu's"},
		{"5.3.18-57-default", "#1 SMP"}:                      {upstream: [3]int{5, 3, 18}, vendor: "SUSE's"},
		{"5.4.17-2136.el8uek.x86_64", "#2 SMP"}:              {upstream: [3]int{5, 4, 17}, vendor: "Oracle's"},
		{"99999999999.1", ""}:                                {patch: true},
		{"", ""}:                                             {patch: true},
	} {
		want.Release, want.Version = in[0], in[1]
		if got := ParseKernel(in[0], in[1]); got != want {
			t.Errorf("%q: %+v, want %+v", in, got, want)
		}
	}
}

// A version tells what is likely there, and where it cannot, that it is not known.
func TestFixIn(t *testing.T) {
	for _, c := range []struct{ fix, release, version, want string }{
		{"no-bug-on", "5.10.109", "", LikelyLacks}, {"no-bug-on", "5.10.110", "", LikelyHas},
		{"no-bug-on", "5.10.0-13-amd64", "", LikelyLacks}, {"no-bug-on", "5.10.0-14-amd64", "", LikelyHas},
		{"no-bug-on", "5.10.0-13-amd64", "#1 SMP Debian 5.10.106-1", LikelyLacks},
		{"no-bug-on", "5.17.15", "", LikelyLacks}, {"no-bug-on", "5.18.0", "", LikelyHas}, {"no-bug-on", "7.2.13", "", LikelyHas},
		{"no-bug-on", "3.10.0-514.el7.x86_64", "", StateUnknown}, {"no-bug-on", "6.8.0-45-generic", "", LikelyHas}, {"no-bug-on", "", "", StateUnknown},
		{"reclaim-spares-pins", "6.1.27", "", LikelyLacks}, {"reclaim-spares-pins", "6.1.28", "", LikelyHas},
		{"reclaim-spares-pins", "6.1.0-9-amd64", "", StateUnknown}, {"reclaim-spares-pins", "5.10.262", "", LikelyLacks},
		{"no-long-pins", "6.1.192", "", LikelyLacks}, {"no-long-pins", "6.4.16", "", LikelyLacks}, {"no-long-pins", "6.5.1", "", LikelyHas},
		{"dirty-accounting", "7.2.13", "", LikelyLacks},
	} {
		fixes := Fixes()
		f := fixes[slices.IndexFunc(fixes, func(f Fix) bool { return f.Name == c.fix })]
		if got, why := f.In(ParseKernel(c.release, c.version)); got != c.want || why == "" {
			t.Errorf("%s in %s %s: %s (%s), want %s", c.fix, c.release, c.version, got, why, c.want)
		}
	}
}

// Which fixes concern whom.
func TestFixesFor(t *testing.T) {
	for name, c := range map[string]struct {
		trouble Trouble
		want    string // fixes, with ! before those that are shown to be absent
	}{
		"the report":            {Trouble{Effect: record.Crashed, Filesystem: "ext4", BugOn: true, Holder: "rdma", Guessed: true}, "!no-bug-on reclaim-spares-pins no-long-pins"},
		"rdma on ext4":          {Trouble{Effect: record.DataLost, Filesystem: "ext4", Holder: "rdma"}, "reclaim-spares-pins !no-long-pins dirty-accounting"},
		"rdma on ext4, guessed": {Trouble{Effect: record.DataLost, Filesystem: "ext4", Holder: "rdma", Guessed: true}, "reclaim-spares-pins no-long-pins dirty-accounting"},
		"a direct read":         {Trouble{Effect: record.DataLost, Filesystem: "ext4", Holder: "dio"}, "direct-reads-pin dirty-accounting"},
		"FUSE":                  {Trouble{Effect: record.DataLost, Filesystem: "ext4", Holder: "fuse"}, "fuse-reads-pin dirty-accounting"},
		"9p":                    {Trouble{Effect: record.DataLost, Filesystem: "ext4", Holder: "9p"}, "dirty-accounting"},
		"9p over virtio":        {Trouble{Effect: record.DataLost, Filesystem: "xfs", Holder: "9p", LeftClean: scenario.LeftCleanAll, Silent: true}, "!9p-netfs"},
		"9p, and a hole":        {Trouble{Effect: record.DataLost, Filesystem: "ext4", Holder: "9p", LeftClean: scenario.LeftCleanAll, Detached: true}, ""},
		"NFS":                   {Trouble{Effect: record.DataLost, Filesystem: "ext4", Holder: "nfs"}, "dirty-accounting"},
		"written beside":        {Trouble{Effect: record.DataLost, Filesystem: "ext4", Holder: "vmwritev", Mutation: "write-beside"}, ""},
		"vmwritev":              {Trouble{Effect: record.DataLost, Filesystem: "ext4", Holder: "vmwritev"}, "reclaim-spares-pins dirty-accounting"},
		"a hole":                {Trouble{Effect: record.DataLost, Filesystem: "ext4", Holder: "dio", Detached: true}, ""},
		"a clone":               {Trouble{Effect: record.Corrupted, Filesystem: "xfs", Holder: "dio"}, ""},
		"a clone, rdma":         {Trouble{Effect: record.Corrupted, Filesystem: "xfs", Holder: "rdma"}, "no-long-pins"},
		"btrfs":                 {Trouble{Effect: record.Crashed, Filesystem: "btrfs", Holder: "dio"}, ""},
	} {
		var got []string
		for _, f := range FixesFor(c.trouble) {
			mark := ""
			if f.State == Lacks {
				mark = "!"
			}
			got = append(got, mark+f.Name)
			if f.Why == "" || f.Kernels == "" || f.Does == "" || f.Subject == "" {
				t.Errorf("%s: %+v", name, f)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Fixes of other routes are told where the kernel has them and it happened all the same.
func TestNeighbours(t *testing.T) {
	newest := ParseKernel("7.2.13+deb14-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 7.2.13-1")
	for _, c := range []struct {
		trouble Trouble
		want    string
	}{
		{Trouble{Effect: record.DataLost, Filesystem: "ext4", Holder: "dio", Large: true, Kernel: newest}, "no-bug-on reclaim-spares-pins no-long-pins direct-reads-pin"},
		{Trouble{Effect: record.DataLost, Filesystem: "ext4", Holder: "dio", Kernel: newest}, "no-bug-on reclaim-spares-pins no-long-pins"},
		{Trouble{Effect: record.DataLost, Filesystem: "xfs", Holder: "vmwritev", Kernel: newest}, "no-long-pins"},
		{Trouble{Effect: record.DataLost, Filesystem: "ext4", Holder: "rdma", Kernel: ParseKernel("5.10.0-46-amd64", "#1 SMP Debian 5.10.262-1")}, "no-bug-on"},
		{Trouble{Effect: record.DataLost, Filesystem: "ext4", Holder: "rdma"}, ""},
	} {
		var got []string
		for _, f := range Neighbours(c.trouble) {
			got = append(got, f.Name)
			if f.State != LikelyHas || f.Why == "" || f.Does == "" {
				t.Errorf("%+v", f)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v: %q, want %q", c.trouble, got, c.want)
		}
	}
}

// Nothing of a split is said where an ordinary write beside the pages left their folio dirty.
func TestWrittenBeside(t *testing.T) {
	n := For(Trouble{Effect: record.DataLost, Filesystem: "ext4", Holder: "vmwritev", Mutation: "write-beside", Kernel: ParseKernel("7.2.13", "")})
	if !strings.Contains(n.Unfixed, "unpin_user_pages_dirty_lock") || strings.Contains(strings.Join(n.Meanwhile, " "), "MADV_PAGEOUT") {
		t.Errorf("%+v", n)
	}
}

// Whatever the trouble is, there is something to do, and of the newest kernels it is said that no
// fix reaches them.
func TestFor(t *testing.T) {
	holders := []string{"", "somebody"}
	for _, h := range Holders() {
		holders = append(holders, h.Name)
	}
	for _, h := range holders {
		for _, fs := range []string{"", "ext4", "xfs", "btrfs", "ext2"} {
			for _, v := range []record.Verdict{record.Crashed, record.Corrupted, record.DataLost, record.Reproduced, record.Exposed, record.Inconclusive} {
				n := For(Trouble{Effect: v, Holder: h, Filesystem: fs})
				if len(n.Meanwhile) == 0 {
					t.Errorf("%s on %q, %s: nothing to do", h, fs, v)
				}
				for i, advice := range n.Meanwhile {
					if slices.Index(n.Meanwhile, advice) != i || !strings.HasSuffix(advice, ".") {
						t.Errorf("%s on %q, %s: %q", h, fs, v, advice)
					}
				}
			}
		}
	}
	n := For(Trouble{Effect: record.DataLost, Holder: "dio", Filesystem: "ext4", Kernel: ParseKernel("7.2.13", "")})
	if n.Unfixed == "" || n.Reproduce == nil || n.Reproduce.Kernel != "sid" || !strings.Contains(strings.Join(n.Meanwhile, " "), "MADV_PAGEOUT") {
		t.Errorf("%+v", n)
	}
}

// The kernel to try it on is the nearest that does it.
func TestReproduce(t *testing.T) {
	for _, c := range []struct {
		trouble Trouble
		release string
		want    string
	}{
		{Trouble{Effect: record.Crashed, BugOn: true}, "3.10.0-514.el7.x86_64", "5.10-unfixed rdma/ext4/pressure/none"},
		{Trouble{Effect: record.Crashed, BugOn: true, Holder: "nfs", Filesystem: "ext4"}, "4.19.1", "5.10-unfixed dio/ext4/pageout/none"},
		{Trouble{Effect: record.Crashed, Holder: "dio", Filesystem: "ext4", OfWarning: true}, "7.2.1", "sid dio/ext4/pageout/none/large"},
		{Trouble{Effect: record.DataLost, Holder: "dio", Filesystem: "ext4"}, "4.19.1", "5.10 dio/ext4/pageout/none"},
		{Trouble{Effect: record.DataLost, Holder: "fuse", Filesystem: "ext4"}, "6.4.1", "6.1 fuse/ext4/pageout/none"},
		{Trouble{Effect: record.DataLost, Holder: "fuse", Filesystem: "ext4"}, "7.2.1", "sid fuse/ext4/pageout/none/large"},
		{Trouble{Effect: record.DataLost, Holder: "9p", Filesystem: "xfs", LeftClean: scenario.LeftCleanAll}, "6.4.1", "6.1 9p/xfs/none/none"},
		{Trouble{Effect: record.DataLost, Holder: "9p", Filesystem: "ext4", LeftClean: scenario.LeftCleanAll}, "5.10.1", "5.10 9p/ext4/none/none"},
		{Trouble{Effect: record.DataLost, Holder: "nfs", Filesystem: "xfs", LeftClean: scenario.LeftCleanLarge}, "6.12.1", "6.12 nfs/xfs/none/none"},
		{Trouble{Effect: record.DataLost, Holder: "nfs", Filesystem: "ext4"}, "6.12.1", "6.12 nfs/ext4/pageout/none"},
		{Trouble{Effect: record.DataLost, Holder: "9p", Filesystem: "ext4"}, "7.2.1", "sid dio/ext4/pageout/none/large"},
		{Trouble{Effect: record.Crashed, BugOn: true, Holder: "fuse", Filesystem: "ext4"}, "5.10.1", "5.10-unfixed dio/ext4/pageout/none"},
		{Trouble{Effect: record.DataLost, Holder: "dio", Filesystem: "ext4"}, "6.4.1", "6.1 dio/ext4/pageout/none"},
		{Trouble{Effect: record.DataLost, Holder: "dio", Filesystem: "ext4"}, "7.3.1", "sid dio/ext4/pageout/none/large"},
		{Trouble{Effect: record.DataLost, Holder: "dio", Filesystem: "ext4"}, "", "sid dio/ext4/pageout/none/large"},
		{Trouble{Effect: record.DataLost, Holder: "vfio", Filesystem: "ext4"}, "6.1.1", "5.10 rdma/ext4/pageout/none"},
		{Trouble{Effect: record.Reproduced, Holder: "vmwritev"}, "5.10.1", "5.10 vmwritev/ext4/pageout/none"},
		{Trouble{Effect: record.Exposed, Filesystem: "btrfs"}, "6.12.117", "6.12 dio/btrfs/none/none"},
		{Trouble{Effect: record.Corrupted, Filesystem: "xfs"}, "6.12.117", ""},
	} {
		c.trouble.Kernel = ParseKernel(c.release, "")
		got := ""
		if r := Reproduce(c.trouble); r != nil {
			got = r.Kernel + " " + r.Scenario
			if !strings.Contains(r.Command, "--kernel "+r.Kernel+" -- ") {
				t.Errorf("%+v", r)
			}
		}
		if got != c.want {
			t.Errorf("%+v: %q, want %q", c.trouble, got, c.want)
		}
	}
}
