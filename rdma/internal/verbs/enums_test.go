package verbs

import "testing"

func TestMTUCodes(t *testing.T) {
	for bytes, want := range map[int]MTU{256: 1, 512: 2, 1024: 3, 2048: 4, 4096: 5} {
		if code, ok := MTUOf(bytes); !ok || code != want || code.Bytes() != bytes {
			t.Errorf("%d: %d, %v", bytes, code, ok)
		}
	}
	for _, bytes := range []int{0, -1, 128, 1500, 8192} {
		if _, ok := MTUOf(bytes); ok {
			t.Errorf("%d is taken for an MTU", bytes)
		}
	}
	for _, code := range []MTU{0, 6, 58, 255} {
		if bytes := code.Bytes(); bytes != 0 {
			t.Errorf("code %d is taken for %d bytes", code, bytes)
		}
	}
}
