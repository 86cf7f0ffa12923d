package workload

import "testing"

func TestStoreThrough(t *testing.T) {
	source, target := &region{mem: []byte("abc")}, &region{mem: make([]byte, 8)}
	done, err := storeThrough(t.Context(), source, target, 2)
	if err != nil || string(target.mem) != "abcabcab" {
		t.Errorf("%q, %v; want byte b from byte b modulo 3", target.mem, err)
	}
	if done.Operations != 5 || done.Bytes != 8 {
		t.Errorf("%+v, want 5 operations and 8 bytes", done)
	}
}
