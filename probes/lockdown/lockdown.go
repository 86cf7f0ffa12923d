// Package lockdown answers one question: does the kernel keep what is in its memory from everybody?
package lockdown

import (
	"io/fs"
	"strings"
)

// Remedy is what to do about a kernel that does.
const Remedy = "boot it with lockdown=integrity, which is what Secure Boot sets and keeps nobody from that, or without lockdown: a running kernel is not let out of it"

// Confidential tells whether the kernel is locked down for confidentiality (lockdown=confidentiality, Linux 5.4: security/lockdown), by
// its sysfs: programs of eBPF lose the helpers that read its memory, and are refused as faulty, and /proc/kcore is EPERM. Where securityfs is
// not mounted, nobody knows.
func Confidential(sysfs fs.FS) bool {
	level, err := fs.ReadFile(sysfs, "kernel/security/lockdown")
	return err == nil && strings.Contains(string(level), "[confidentiality]")
}
