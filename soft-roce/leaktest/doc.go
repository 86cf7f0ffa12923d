// Package leaktest answers one question: do the tests of a package leave anything behind
// on the machine that they ran on?
//
// With the build tag guest, Run compares what there was before the tests with what there
// is after them, and fails for each leak in one sentence: descriptors, processes, loop
// devices, device-mapper devices, mounts, modules, cgroups, network devices, RDMA devices and their
// resources, BPF objects, kprobe events, temporary files, and kernel settings. Without the
// tag it only runs the tests, since on a host others come and go meanwhile.
package leaktest

// M is a *testing.M, or what stands around one.
type M interface{ Run() int }
