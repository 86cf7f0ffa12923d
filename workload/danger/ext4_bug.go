package danger

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"umemstress/probes/lockdown"
)

// survivalMessage is printed by ext4 where it drops a dirty page that has no
// buffers. A kernel without it dies in BUG_ON(!PagePrivate) there instead
// (fs/ext4/inode.c, mpage_prepare_extent_to_map; cc5095747edf, 5.18).
const survivalMessage = "does not have buffers attached"

// ext4Survives looks for the message in the running kernel's own constants.
func ext4Survives() (bool, error) {
	if err := ext4Loaded(); err != nil {
		return false, err
	}
	start, length, err := ext4Strings()
	if err != nil {
		return false, err
	}
	text, err := readKernel(start, length)
	if err != nil {
		return false, denied(err, os.DirFS("/sys"))
	}
	return bytes.Contains(text, []byte(survivalMessage)), nil
}

var errLockedDown = errors.New("the kernel is locked down for confidentiality, and lets nobody read /proc/kcore: " + lockdown.Remedy)

// denied names the lockdown of a kernel that does not let its memory be read, whoever asks.
func denied(err error, sysfs fs.FS) error {
	if errors.Is(err, unix.EPERM) && lockdown.Confidential(sysfs) {
		return errLockedDown
	}
	return err
}

// ext4Strings returns where ext4's string constants lie: in the module's section
// of long strings, in its read-only data where the linker has merged the two (as
// in 7.2), or in the kernel's read-only data.
func ext4Strings() (start, length uint64, err error) {
	for _, section := range []string{".rodata.str1.8", ".rodata"} {
		text, err := os.ReadFile("/sys/module/ext4/sections/" + section)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, 0, err
		}
		start, err = strconv.ParseUint(strings.TrimSpace(string(text)), 0, 64)
		const enough = 256 << 10 // longer than the section in any kernel; what follows it is the module's too
		return start, enough, err
	}
	return kernelConstants()
}

// kernelConstants returns the kernel's .rodata, by its symbols.
func kernelConstants() (start, length uint64, err error) {
	data, err := os.ReadFile("/proc/kallsyms")
	if err != nil {
		return 0, 0, err
	}
	return constantsIn(string(data))
}

func constantsIn(symbols string) (start, length uint64, err error) {
	var end uint64
	hidden := true
	for line := range strings.Lines(symbols) {
		fields := strings.Fields(line)
		hidden = hidden && len(fields) > 0 && strings.Trim(fields[0], "0") == ""
		if len(fields) < 3 || (fields[2] != "__start_rodata" && fields[2] != "__end_rodata") {
			continue
		}
		address, err := strconv.ParseUint(fields[0], 16, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("/proc/kallsyms: %w", err)
		}
		if fields[2] == "__start_rodata" {
			start = address
		} else {
			end = address
		}
	}
	if hidden {
		return 0, 0, errors.New("/proc/kallsyms hides its addresses: it takes CAP_SYSLOG, or kernel.kptr_restrict=0")
	}
	if start == 0 || end <= start {
		return 0, 0, errors.New("/proc/kallsyms does not tell where the kernel's constants are: the kernel was built without CONFIG_KALLSYMS_ALL")
	}
	return start, end - start, nil
}

// readKernel reads kernel memory at a virtual address, as far as it is mapped.
func readKernel(address, length uint64) ([]byte, error) {
	core, err := elf.Open("/proc/kcore")
	if err != nil {
		return nil, err
	}
	defer core.Close()
	for _, segment := range core.Progs {
		if segment.Type != elf.PT_LOAD || address < segment.Vaddr || address >= segment.Vaddr+segment.Memsz {
			continue
		}
		text := make([]byte, min(length, segment.Vaddr+segment.Memsz-address))
		n, err := segment.ReadAt(text, int64(address-segment.Vaddr))
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("/proc/kcore: %w", err)
		}
		return text[:n], nil
	}
	return nil, fmt.Errorf("/proc/kcore does not cover address %#x", address)
}
