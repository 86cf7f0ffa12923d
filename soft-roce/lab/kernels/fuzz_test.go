package kernels

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// pvhImage is the least that is taken for a kernel with a PVH entry: an ELF header and
// one segment of notes.
func pvhImage() []byte {
	const headers, notes = 64 + 56, 24
	var b bytes.Buffer
	le := binary.LittleEndian
	b.WriteString("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9))
	for _, field := range []any{
		uint16(elf.ET_EXEC), uint16(elf.EM_X86_64), uint32(1),
		uint64(0), uint64(64), uint64(0), // entry, program headers, sections
		uint32(0), uint16(64), uint16(56), uint16(1), uint16(0), uint16(0), uint16(0),
		uint32(elf.PT_NOTE), uint32(elf.PF_R), uint64(headers), uint64(0), uint64(0),
		uint64(notes), uint64(notes), uint64(4),
		uint32(4), uint32(8), uint32(18), [4]byte{'X', 'e', 'n', 0}, uint64(0x1000000),
	} {
		binary.Write(&b, le, field) // never fails: all have a size
	}
	return b.Bytes()
}

// FuzzImage takes a file for a kernel, as --kernel does. The decompressor of xz is a
// program of its own, which is not what is tested here.
func FuzzImage(f *testing.F) {
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	elfImage := pvhImage()
	if err := checkPVH(bytes.NewReader(elfImage)); err != nil {
		f.Fatal(err)
	}
	packed := encoder.EncodeAll(elfImage, nil)
	f.Add(bzImage(binary.LittleEndian.AppendUint32(packed, uint32(len(elfImage)))))
	f.Add(bzImage(append(packed, 0xff, 0xff, 0xff, 0xff)))
	f.Add(bzImage([]byte("unknown compression")))
	f.Add(elfImage)
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		checkPVH(bytes.NewReader(raw))
		payload, err := bzPayload(raw)
		if err != nil {
			return
		}
		if len(payload) < 8 || len(payload) > len(raw) {
			t.Fatalf("a payload of %d bytes out of %d", len(payload), len(raw))
		}
		if bytes.HasPrefix(payload, []byte("\xfd7zXZ\x00")) {
			return
		}
		size := binary.LittleEndian.Uint32(payload[len(payload)-4:])
		if size > 1<<20 {
			return
		}
		kernel, err := decompress(t.Context(), payload)
		if err == nil && len(kernel) != int(size) {
			t.Errorf("%d bytes, not the %d that the image says", len(kernel), size)
		}
		checkPVH(bytes.NewReader(kernel))
	})
}

// isPathWord tells whether a word stays the one component of a path that it is to be.
func isPathWord(word string) bool {
	return word != "" && filepath.Join("/store", word) == "/store/"+word && !strings.Contains(word, "/")
}

func FuzzKernelJSON(f *testing.F) {
	for _, seed := range []string{
		`{"Release":"5.10.0-30-amd64","Version":"5.10.218-1"}`,
		`{"Release":"6.12.117+deb12-amd64","Version":"1:6.12.117-1~deb12u1","More":[]}`,
		`{"Release":"../../etc","Version":"1"}`, `{"Release":"a/b","Version":""}`, `{}`, `null`, `[`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		stock, err := parseStock(raw)
		if err == nil && (!isPathWord(stock.Release) || !isPathWord(stock.Version)) {
			t.Errorf("%q gives %+v", raw, stock)
		}
	})
}

// FuzzApt reads what apt and dpkg print of packages and mirrors.
func FuzzApt(f *testing.F) {
	f.Add("Package: linux-image-5.10.0-30-amd64\nVersion: 5.10.218-1\nDepends: kmod, linux-base (>= 4.3~)\n\n"+
		"Package: linux-image-7.2.13+deb14-amd64\nVersion: 7.2.13-1\n"+
		"Depends: linux-modules-7.2.13+deb14-amd64 (= 7.2.13-1), a | b\nDescription: x\n Version: in the text\n", "sid")
	f.Add("Package: linux-image-5.10.0-1-amd64\nVersion: 1\nDepends: -oX=-5.10.0-1-amd64 (= 1)\n", "5.10")
	f.Add("Package: linux-image-5.10.0-../x-amd64\nVersion: ../1\n", "5.10")
	f.Add("Debian bookworm http://mirror.example/debian/\nDebian bookworm-security http://mirror.example/security/\n", "6.1")
	f.Add(":\n\n: :\n (= )", "")
	f.Fuzz(func(t *testing.T, shown, name string) {
		for _, stock := range packagesOf(shown) {
			if !isPathWord(stock.Release) || !isPathWord(stock.Version) {
				t.Errorf("%+v", stock)
			}
			for _, part := range parts(controlFields(shown)["Depends"], stock) {
				// What apt-get takes for an option does what it likes.
				if strings.HasPrefix(part, "-") || !strings.HasSuffix(part, "-"+stock.Release+"="+stock.Version) {
					t.Errorf("part %q of %+v", part, stock)
				}
			}
		}
		list, err := sourcesList("deb", shown, []string{"sid", "bookworm-security"})
		if err == nil && strings.Count(list, "\n") > 2 {
			t.Errorf("sources %q", list)
		}
		suitesFor(name)
		offered(packagesOf(shown), name)
		if roomFor(shown) < preparedBytes {
			t.Errorf("room %d", roomFor(shown))
		}
		parseShowDepends(shown)
	})
}
