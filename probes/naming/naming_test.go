package naming

import "testing"

func TestName(t *testing.T) {
	for told, want := range map[string]string{
		"ib_umem_release+0x1/0x60 [ib_uverbs]": "ib_umem_release+0x0",
		"vfs_read+0x10/0x200":                  "vfs_read+0xf",
		"0x1001":                               "0x1000",
		"vfs_read+0x0/0x200":                   "",
		"vfs_read":                             "",
		"":                                     "",
	} {
		if got, err := name(told); got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v, want %q", told, got, err, want)
		}
	}
}
