package bytesize

import "testing"

// What Format writes, Parse reads.
func TestFormat(t *testing.T) {
	for n, want := range map[int64]string{4096: "4K", 64 << 20: "64M", 5 << 30: "5G", 1000: "1000", 3<<20 + 1: "3145729", 2048 << 20: "2G", 1536 << 10: "1536K", 0: "0"} {
		got := Format(n)
		back, err := Parse(got)
		if got != want || err != nil || back != n {
			t.Errorf("%d is written %s (want %s) and read back as %d, %v", n, got, want, back, err)
		}
	}
}
