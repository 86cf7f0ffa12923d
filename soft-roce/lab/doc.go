// Package lab runs a program of the host in a QEMU guest with a stock Linux
// kernel, the host's file tree and a soft-RoCE device, and tells what became of
// it: the program's exit code, a crash of the guest's kernel, or a lab that
// could not boot the guest.
//
// The guest needs no disk image. Its PID 1 is the executable that calls
// [Run]: the lab puts it into an initramfs together with the modules that
// are needed to boot, and InitIfPID1 of package guest, called first in main,
// turns it into init there. The guest's root is an overlay: below it the host's
// file tree, read-only over 9p; above it an ext4 file system on a virtio block
// device, which is gone with the guest. Directories that are to be written on the
// host are shared one by one (see Config.Shares). Beside them is a share whose reads wait
// until the guest lets them go (package workload/late), where the host can mount one.
//
// Three virtio-serial ports connect guest and host: one for the events of this
// package, and one each for what the program writes to stdout and stderr. The
// serial console carries the kernel's own messages and nothing else, and is kept
// in a file.
//
// Below it: package kernels has the kernels, package machine the guest as QEMU
// sees it, package guest what init does in it. Package matrix stands on this one.
package lab
