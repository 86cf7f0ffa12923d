package logfile

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

const log = "[    1.0] kernel BUG at fs/ext4/inode.c:2297!\n"

func gzipped(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(text))
	w.Close()
	return b.Bytes()
}

func zstandard(t *testing.T, text string) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll([]byte(text), nil)
}

// Whatever it is packed with, it reads as the log; and also what is left of it, cut off.
func TestUnpack(t *testing.T) {
	// What bzip2 makes of the log: the library has no writer.
	bzip2, err := base64.StdEncoding.DecodeString(bzipped)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat(log, 10_000)
	for name, c := range map[string]struct {
		in   []byte
		want string
	}{
		"plain":         {[]byte(log), log},
		"empty":         {nil, ""},
		"short":         {[]byte("a"), "a"},
		"gzip":          {gzipped(log), log},
		"two of gzip":   {append(gzipped(log), gzipped(log)...), log + log},
		"bzip2":         {bzip2, log},
		"zstd":          {zstandard(t, log), log},
		"cut off, gzip": {gzipped(long)[:len(gzipped(long))-20], log},
	} {
		r, err := Unpack(bytes.NewReader(c.in), "x")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := io.ReadAll(r)
		if err != nil || !strings.HasPrefix(string(got), c.want) || c.want == "" && len(got) > 0 {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	for name, in := range map[string][]byte{"gzip": {0x1f, 0x8b, 9}, "zstd": {0x28, 0xb5, 0x2f, 0xfd, 0xff, 0xff}} {
		r, err := Unpack(bytes.NewReader(in), "x")
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if name == "gzip" && err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// What is no log is refused with what makes one of it.
func TestUnpackOthers(t *testing.T) {
	for magic, want := range map[string]string{
		"LPKSHHRH\x00\x00": "system.journal: it is a journal's file: journalctl --file=system.journal -k",
		"KDUMP   \x06":     "system.journal: it is a dump of memory: vmcore-dmesg",
		"\x7fELF\x02":      "vmcore-dmesg",
		"\xfd7zXZ\x00\x00": "xz -dc system.journal | umemstress triage -",
		"PK\x03\x04":       "unzip -p system.journal",
		"%PDF-1.7":         "is no text",
	} {
		_, err := Unpack(strings.NewReader(magic), "system.journal")
		var kind interface{ Usage() bool }
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "%!") || !errors.As(err, &kind) {
			t.Errorf("%q: %v", magic, err)
		}
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	if err := os.WriteFile(path, []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	for path, want := range map[string]string{
		dir:                      "it is a directory",
		filepath.Join(dir, "no"): "there is no such file",
		"/dev/null":              "it is no file and no pipe",
	} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	go os.WriteFile(pipe, []byte(log), 0)
	if f, err = Open(pipe); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || string(got) != log {
		t.Errorf("%q, %v", got, err)
	}
}

const bzipped = "QlpoOTFBWSZTWbqQhEsAAA1fgEAQYAH0sBCAAgovLZxAIAAjHpqNAaPUeo9Joe1QYwAEwABMgZVpRAuspjbSS74rCaM3DWZPR37iRKBEwPj/F3JFOFCQupCESw=="
