package machine

import (
	"fmt"
	"strings"

	"umemstress/soft-roce/lab/internal/proto"
)

// Device is a part of the guest's machine, with its part of QEMU's command
// line.
type Device interface {
	args() []string
}

// SerialConsole is ttyS0, written to a file.
type SerialConsole struct{ Path string }

func (d SerialConsole) args() []string {
	return []string{
		"-chardev", "file,id=console,path=" + escape(d.Path),
		"-serial", "chardev:console",
	}
}

// ScratchDisk is a virtio block device over the image open as fd. The image is
// gone with the guest, so QEMU need not flush it to the host's disk. Where the host has no
// space, the guest is told; by default it would stand still until its time is up.
type ScratchDisk struct{ FD int }

func (d ScratchDisk) args() []string {
	return []string{
		"-drive", fmt.Sprintf("if=none,id=scratch,file=/proc/self/fd/%d,format=raw,cache=unsafe,discard=unmap", d.FD),
		"-device", "virtio-blk-pci,drive=scratch,werror=report,serial=" + proto.ScratchSerial,
	}
}

// Directory is a directory of the host, shared over 9p. Mapped, the guest's owners, modes,
// links and device nodes are attributes of plain files, and nothing that the host would
// obey: QEMU may be root. Otherwise they are what the guest says.
type Directory struct {
	Tag      string
	Path     string
	ReadOnly bool
	Mapped   bool
}

func (d Directory) args() []string {
	model := "none"
	if d.Mapped {
		model = "mapped-xattr"
	}
	fsdev := "local,id=" + d.Tag + ",path=" + escape(d.Path) + ",security_model=" + model
	if d.ReadOnly {
		fsdev += ",readonly=on"
	}
	return []string{
		// The host's tree crosses mounts, whose inode numbers may be equal.
		"-fsdev", fsdev + ",multidevs=remap",
		"-device", "virtio-9p-pci,fsdev=" + d.Tag + ",mount_tag=" + d.Tag,
	}
}

// Port is a virtio-serial port, connected to the socket open as fd.
type Port struct {
	Name string
	FD   int
}

func (d Port) args() []string {
	id := strings.ReplaceAll(d.Name, ".", "-")
	return []string{
		"-chardev", fmt.Sprintf("socket,id=%s,fd=%d", id, d.FD),
		"-device", "virtserialport,chardev=" + id + ",name=" + d.Name,
	}
}

// Wire is a network card whose packets go through the stream socket open as fd, to another
// guest. MTU is in bytes; MAC is to be another one than that guest's.
type Wire struct {
	FD, MTU int
	MAC     string
}

func (d Wire) args() []string {
	return []string{
		"-netdev", fmt.Sprintf("socket,id=wire,fd=%d", d.FD),
		// It is to boot from nothing, and needs no ROM for it.
		"-device", fmt.Sprintf("virtio-net-pci,netdev=wire,mac=%s,host_mtu=%d,romfile=", d.MAC, d.MTU),
	}
}

// PortBus is what ports are plugged into.
type PortBus struct{}

func (PortBus) args() []string { return []string{"-device", "virtio-serial-pci"} }

// escape makes a path fit for QEMU's option syntax, in which a comma ends the
// value.
func escape(path string) string { return strings.ReplaceAll(path, ",", ",,") }
