package lab

import (
	"slices"
	"strings"
	"testing"
)

func TestDeviceArgs(t *testing.T) {
	for _, tt := range []struct {
		device device
		want   string
	}{
		{serialConsole{"/tmp/a,b"}, "-chardev file,id=console,path=/tmp/a,,b -serial chardev:console"},
		{scratchDisk{4}, "-drive if=none,id=scratch,file=/proc/self/fd/4,format=raw,cache=unsafe,discard=unmap " +
			"-device virtio-blk-pci,drive=scratch,serial=scratch"},
		{directory{tag: "hostroot", path: "/", readOnly: true},
			"-fsdev local,id=hostroot,path=/,security_model=none,readonly=on,multidevs=remap " +
				"-device virtio-9p-pci,fsdev=hostroot,mount_tag=hostroot"},
		{directory{tag: "share0", path: "/srv/ev,1"},
			"-fsdev local,id=share0,path=/srv/ev,,1,security_model=none,multidevs=remap " +
				"-device virtio-9p-pci,fsdev=share0,mount_tag=share0"},
		{portBus{}, "-device virtio-serial-pci"},
		{port{"umemstress.stdout", 7}, "-chardev socket,id=umemstress-stdout,fd=7 " +
			"-device virtserialport,chardev=umemstress-stdout,name=umemstress.stdout"},
	} {
		if got := strings.Join(tt.device.args(), " "); got != tt.want {
			t.Errorf("%#v:\n got %s\nwant %s", tt.device, got, tt.want)
		}
	}
}

func TestCommandLine(t *testing.T) {
	m := machine{
		qemu: "/usr/bin/qemu-system-x86_64", accel: TCG, memory: 2 << 30, cpus: 2,
		kernel: "/k/vmlinux", initramfs: 3, append: "panic_on_warn=1",
		devices: []device{portBus{}},
	}
	line := m.commandLine()
	if line[0] != m.qemu {
		t.Errorf("the program is %q", line[0])
	}
	for flag, want := range map[string]string{
		"-accel":  "tcg,thread=single,tb-size=64",
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
	m.accel = KVM
	if line := m.commandLine(); !slices.Contains(line, "kvm") || slices.Contains(line, "tcg,thread=single,tb-size=64") {
		t.Errorf("with KVM: %q", line)
	}
}
