package workload

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

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

// TestHoldersBound asks for more than a thread a call allows.
func TestHoldersBound(t *testing.T) {
	_, err := openDIO(t.Context(), Options{FileBytes: 4097 << 20})
	wantUsage(t, err, "give at most 4096 MiB")
	_, err = openVMWritev(t.Context(), Options{FileBytes: 16<<30 + 4096})
	wantUsage(t, err, "give at most 16384 MiB")
}

func TestHoldersBringOnce(t *testing.T) {
	for _, name := range []string{"dio", "vmwritev"} {
		kind, _ := find(holderKinds, name)
		for _, o := range []Options{{Iterations: 1}, {Duration: time.Second}, {Bidirectional: true}} {
			o.Scenario.Holder = name
			_, err := kind.open(t.Context(), o)
			wantUsage(t, err, "the holder "+name+" brings each byte once")
		}
	}
}

func TestDIOSourceRefused(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		"/dev/null":     "--dio-source /dev/null: ",
		dir + "/absent": "no such file or directory; name a block device or a file",
		dir:             "it is neither a block device nor a file",
	} {
		_, err := openDIO(t.Context(), Options{FileBytes: 4096, AnonBytes: 4096, DIOSource: path})
		wantUsage(t, err, want)
	}
}

// TestVectors checks what one process_vm_writev reads against the bytes that are
// to arrive, for a source that is larger, smaller and as small as can be.
func TestVectors(t *testing.T) {
	pageSize := os.Getpagesize()
	for name, sourcePages := range map[string]int{"larger": 3000, "smaller": 5, "one page": 1} {
		source := &region{mem: make([]byte, sourcePages*pageSize)}
		payload{seed: 1, pageSize: pageSize, period: 3000}.fillAll(source.mem, 2)
		h := &vmwritevHolder{
			source: source,
			gate:   &gate{memory: &region{mem: make([]byte, 2*pageSize)}},
		}
		m := message{to: int64(vmwritevPages() * pageSize), length: vmwritevPages() * pageSize}
		vectors := h.local(1, m)
		if len(vectors) > 1024 {
			t.Errorf("%s: %d vectors, more than UIO_MAXIOV", name, len(vectors))
		}
		if vectors[0].Base != &h.gate.page(1)[0] || vectors[0].Len != uint64(pageSize) {
			t.Errorf("%s: the first vector is not the page of the gate", name)
		}
		var got []byte
		for _, v := range vectors[1:] {
			got = append(got, vectorBytes(v)...)
		}
		want := &region{mem: make([]byte, m.to+int64(m.length))}
		if _, err := storeThrough(t.Context(), source, want, pageSize); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want.mem[m.to+int64(pageSize):]) {
			t.Errorf("%s: %d bytes that are not those to arrive, or not %d", name, len(got), m.length-pageSize)
		}
	}
}

func TestTarget(t *testing.T) {
	var r dmRequest
	if err := r.setTarget("delay", 8192, delayParameters(unix.Mkdev(7, 300), 90*time.Second)); err != nil {
		t.Fatal(err)
	}
	if got := r.status(); got != "7:300 0 90000" {
		t.Errorf("parameters %q", got)
	}
	if got := unix.ByteSliceToString(r.Target[24:40]); got != "delay" {
		t.Errorf("type %q at offset 24 of struct dm_target_spec", got)
	}
	if err := r.setTarget("delay", 1, strings.Repeat("x", 500)); err == nil {
		t.Error("parameters longer than their room were accepted")
	}
}

func TestPayloadFixed(t *testing.T) {
	p := payload{seed: 1, pageSize: 8, period: 2, fixed: []byte("AAAAAAAABBBBBBBB")}
	got := make([]byte, 24)
	p.fillAll(got, 2)
	if string(got) != "AAAAAAAABBBBBBBBAAAAAAAA" {
		t.Errorf("generation 2: %q", got)
	}
	p.fillAll(got, 1)
	if bytes.Contains(got, []byte("AA")) {
		t.Errorf("generation 1 is fixed, too: %q", got)
	}
}
