package reporting

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

var update = flag.Bool("update", false, "write the mails of docs/findings anew")

const mails = "../../../../docs/findings/mails"

// The mails beside the findings are, word for word, what the command makes of the evidence here.
func TestMails(t *testing.T) {
	dirs, err := filepath.Glob("testdata/*")
	if err != nil || len(dirs) < 6 {
		t.Fatalf("%d directories of evidence, %v", len(dirs), err)
	}
	for _, dir := range dirs {
		f := flags{version: "devel", format: "text"}
		var got bytes.Buffer
		if err := f.run(t.Context(), &got, dir); err != nil {
			t.Errorf("%s: %v", dir, err)
			continue
		}
		golden := filepath.Join(mails, filepath.Base(dir)+".txt")
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != string(want) {
			t.Errorf("%s:\n%s\nwant\n%s", dir, got.String(), want)
		}
	}
	if listed, err := filepath.Glob(mails + "/*.txt"); err != nil || len(listed) != len(dirs) {
		t.Errorf("%q, %v: not each is of evidence here", listed, err)
	}
}

// A disk that is full leaves no half of a mail.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=4k"); errors.Is(err, unix.EPERM) {
		t.Skipf("a small file system takes root: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Unmount(dir, 0) }()
	if err := write(filepath.Join(dir, "mail"), bytes.Repeat([]byte("x"), 64<<10)); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}

// However many events a journal has, a bounded number is kept, and the rest is told of.
func TestManyEvents(t *testing.T) {
	dir := t.TempDir()
	line := `{"schema":"umemstress.event/v1","time":"2026-11-28T10:01:54Z","event":"stripped","holder":"rdma","filesystem":"ext4","path":"/f","pages":1}` + "\n"
	if err := os.WriteFile(filepath.Join(dir, "journal.jsonl"), []byte(strings.Repeat(line, maxEvents+5)), 0o600); err != nil {
		t.Fatal(err)
	}
	f := flags{format: "text"}
	var got bytes.Buffer
	if err := f.run(t.Context(), &got, dir); err != nil || !strings.Contains(got.String(), "* 5 more events of the journal were not looked at.") {
		t.Errorf("%v: %s", err, got.String())
	}
}
