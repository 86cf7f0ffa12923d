package kmsg

import "testing"

func TestRecord(t *testing.T) {
	got, err := Record([]byte("4,1234,12616193,-,caller=T152;EXT4-fs warning: 8182 callbacks suppressed\n SUBSYSTEM=block\n"))
	if want := "[   12.616193] EXT4-fs warning: 8182 callbacks suppressed"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	for _, bad := range []string{"", "no prefix", "4,5;text", "4,5,notanumber,-;text"} {
		if _, err := Record([]byte(bad)); err == nil {
			t.Errorf("%q was taken for a record", bad)
		}
	}
}
