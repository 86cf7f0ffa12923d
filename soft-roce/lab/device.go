package lab

import (
	"fmt"
	"strings"
)

// A device is a part of the guest's machine, with its part of QEMU's command
// line.
type device interface {
	args() []string
}

// serialConsole is ttyS0, written to a file.
type serialConsole struct{ path string }

func (d serialConsole) args() []string {
	return []string{
		"-chardev", "file,id=console,path=" + escape(d.path),
		"-serial", "chardev:console",
	}
}

// scratchDisk is a virtio block device over the image open as fd. The image is
// gone with the guest, so QEMU need not flush it to the host's disk.
type scratchDisk struct{ fd int }

func (d scratchDisk) args() []string {
	return []string{
		"-drive", fmt.Sprintf("if=none,id=scratch,file=/proc/self/fd/%d,format=raw,cache=unsafe,discard=unmap", d.fd),
		"-device", "virtio-blk-pci,drive=scratch,serial=" + scratchSerial,
	}
}

// directory is a directory of the host, shared over 9p.
type directory struct {
	tag      string
	path     string
	readOnly bool
}

func (d directory) args() []string {
	fsdev := "local,id=" + d.tag + ",path=" + escape(d.path) + ",security_model=none"
	if d.readOnly {
		fsdev += ",readonly=on"
	}
	return []string{
		// The host's tree crosses mounts, whose inode numbers may be equal.
		"-fsdev", fsdev + ",multidevs=remap",
		"-device", "virtio-9p-pci,fsdev=" + d.tag + ",mount_tag=" + d.tag,
	}
}

// port is a virtio-serial port, connected to the socket open as fd.
type port struct {
	name string
	fd   int
}

func (d port) args() []string {
	id := strings.ReplaceAll(d.name, ".", "-")
	return []string{
		"-chardev", fmt.Sprintf("socket,id=%s,fd=%d", id, d.fd),
		"-device", "virtserialport,chardev=" + id + ",name=" + d.name,
	}
}

// portBus is what ports are plugged into.
type portBus struct{}

func (portBus) args() []string { return []string{"-device", "virtio-serial-pci"} }

// escape makes a path fit for QEMU's option syntax, in which a comma ends the
// value.
func escape(path string) string { return strings.ReplaceAll(path, ",", ",,") }
