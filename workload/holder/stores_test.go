package holder

import (
	"testing"

	"umemstress/workload/internal/memory"
)

func TestStoreThrough(t *testing.T) {
	source, target := &memory.Region{Bytes: []byte("abc")}, &memory.Region{Bytes: make([]byte, 8)}
	done, err := StoreThrough(t.Context(), source, target, 2)
	if err != nil || string(target.Bytes) != "abcabcab" {
		t.Errorf("%q, %v; want byte b from byte b modulo 3", target.Bytes, err)
	}
	if done.Operations != 5 || done.Bytes != 8 {
		t.Errorf("%+v, want 5 operations and 8 bytes", done)
	}
}
