package machine

import (
	"slices"
	"strings"
	"testing"
)

func TestDeviceArgs(t *testing.T) {
	for _, tt := range []struct {
		device Device
		want   string
	}{
		{SerialConsole{"/tmp/a,b"}, "-chardev file,id=console,path=/tmp/a,,b -serial chardev:console"},
		{ScratchDisk{4}, "-drive if=none,id=scratch,file=/proc/self/fd/4,format=raw,cache=unsafe,discard=unmap " +
			"-device virtio-blk-pci,drive=scratch,werror=report,serial=scratch"},
		{Directory{Tag: "hostroot", Path: "/", ReadOnly: true},
			"-fsdev local,id=hostroot,path=/,security_model=none,readonly=on,multidevs=remap " +
				"-device virtio-9p-pci,fsdev=hostroot,mount_tag=hostroot"},
		{Directory{Tag: "share0", Path: "/srv/ev,1"},
			"-fsdev local,id=share0,path=/srv/ev,,1,security_model=none,multidevs=remap " +
				"-device virtio-9p-pci,fsdev=share0,mount_tag=share0"},
		{Directory{Tag: "share0", Path: "/srv", Mapped: true},
			"-fsdev local,id=share0,path=/srv,security_model=mapped-xattr,multidevs=remap " +
				"-device virtio-9p-pci,fsdev=share0,mount_tag=share0"},
		{PortBus{}, "-device virtio-serial-pci"},
		{Port{"umemstress.stdout", 7}, "-chardev socket,id=umemstress-stdout,fd=7 " +
			"-device virtserialport,chardev=umemstress-stdout,name=umemstress.stdout"},
	} {
		if got := strings.Join(tt.device.args(), " "); got != tt.want {
			t.Errorf("%#v:\n got %s\nwant %s", tt.device, got, tt.want)
		}
	}
}

func TestCommandLine(t *testing.T) {
	m := Machine{
		QEMU: "/usr/bin/qemu-system-x86_64", Accel: TCG, Memory: 2 << 30, CPUs: 2,
		Kernel: "/k/vmlinux", Initramfs: 3, Append: "panic_on_warn=1",
		Devices: []Device{PortBus{}},
	}
	line := m.CommandLine()
	if line[0] != m.QEMU {
		t.Errorf("the program is %q", line[0])
	}
	for flag, want := range map[string]string{
		"-accel":  "tcg,thread=single,tb-size=128",
		"-m":      "2048M",
		"-smp":    "2",
		"-kernel": "/k/vmlinux",
		"-initrd": "/proc/self/fd/3",
		"-append": strings.Join(kernelArgs, " ") + " panic_on_warn=1",
		"-device": "virtio-serial-pci",
	} {
		i := slices.Index(line, flag)
		if i < 0 || line[i+1] != want {
			t.Errorf("%s: want %q in %q", flag, want, line)
		}
	}
	// A panic ends QEMU only with both of these.
	if !slices.Contains(line, "-no-reboot") || !slices.Contains(kernelArgs, "panic=-1") {
		t.Error("a panic would not end the guest")
	}
	m.Accel = KVM
	if line := m.CommandLine(); !slices.Contains(line, "kvm") || slices.Contains(line, "tcg,thread=single,tb-size=128") {
		t.Errorf("with KVM: %q", line)
	}
}
