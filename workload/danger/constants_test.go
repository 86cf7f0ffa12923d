package danger

import (
	"strings"
	"testing"
)

// Where the kernel's constants lie is told by its symbols, or it is said why not; nobody is
// told to become what he may be.
func TestConstantsIn(t *testing.T) {
	start, length, err := constantsIn("ffffffff81000000 T _stext\nffffffff82400000 D __start_rodata\nffffffff82500000 D __end_rodata\n")
	if err != nil || start != 0xffffffff82400000 || length != 0x100000 {
		t.Errorf("%#x, %#x, %v", start, length, err)
	}
	for symbols, want := range map[string]string{
		"0000000000000000 T _stext\n0000000000000000 D __start_rodata\n": "CAP_SYSLOG",
		"ffffffff81000000 T _stext\nffffffff82400000 D __start_rodata\n": "CONFIG_KALLSYMS_ALL",
		"fffffffg81000000 T __start_rodata\n":                            "/proc/kallsyms: ",
	} {
		if _, _, err := constantsIn(symbols); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "as root") {
			t.Errorf("%q: %v, want %s", symbols, err, want)
		}
	}
}
