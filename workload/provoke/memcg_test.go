package provoke

import "testing"

// A group outside of this process's cgroup namespace, of which /proc/PID/cgroup has a path from
// the namespace's root, is not taken for one of that name inside.
func TestGroupOutside(t *testing.T) {
	for _, v1 := range []bool{false, true} {
		for _, path := range []string{"/..", "/../sibling"} {
			if dir, err := (&Cgroup{Path: path, v1: v1}).mounted(); dir != "" || err != nil {
				t.Errorf("%s: %q, %v", path, dir, err)
			}
		}
	}
}
