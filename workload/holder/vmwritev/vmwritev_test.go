package vmwritev

import (
	"bytes"
	"os"
	"testing"

	"umemstress/workload/holder"
	"umemstress/workload/internal/memory"
	"umemstress/workload/internal/worktest"
	"umemstress/workload/payload"
)

// More than a thread a call allows is refused.
func TestVMWritevBound(t *testing.T) {
	_, err := Open(holder.Config{TargetBytes: 16<<30 + 4096})
	worktest.WantUsage(t, err, "give at most 16384 MiB")
}

// TestVectors checks what one process_vm_writev reads against the bytes that are
// to arrive, for a source that is larger, smaller and as small as can be.
func TestVectors(t *testing.T) {
	pageSize := os.Getpagesize()
	for name, sourcePages := range map[string]int{"larger": 3000, "smaller": 5, "one page": 1} {
		source := &memory.Region{Bytes: make([]byte, sourcePages*pageSize)}
		payload.New(1, pageSize, int64(3000*pageSize)).FillAll(source.Bytes, 2)
		first := make([]byte, pageSize)
		h := &writer{ByCalls: holder.ByCalls{Source: source}}
		m := holder.Message{To: int64(pagesACall() * pageSize), Length: pagesACall() * pageSize}
		vectors := h.local(first, m)
		if len(vectors) > 1024 {
			t.Errorf("%s: %d vectors, more than UIO_MAXIOV", name, len(vectors))
		}
		if vectors[0].Base != &first[0] || vectors[0].Len != uint64(pageSize) {
			t.Errorf("%s: the first vector is not the page of the gate", name)
		}
		var got []byte
		for _, v := range vectors[1:] {
			got = append(got, vectorBytes(v)...)
		}
		want := &memory.Region{Bytes: make([]byte, m.To+int64(m.Length))}
		if _, err := holder.StoreThrough(t.Context(), source, want, pageSize); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want.Bytes[m.To+int64(pageSize):]) {
			t.Errorf("%s: %d bytes that are not those to arrive, or not %d", name, len(got), m.Length-pageSize)
		}
	}
}
