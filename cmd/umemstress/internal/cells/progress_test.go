package cells

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/matrix"
)

// terminal makes one; what is written to it is read from shown.
func terminal(t *testing.T) (terminal, shown *os.File) {
	t.Helper()
	shown, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shown.Close() })
	if err := unix.IoctlSetPointerInt(int(shown.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetUint32(int(shown.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return terminal, shown
}

// What is logged while cells run passes above the bar, as the program logs, and the program's own
// logger stays where it is.
func TestProgressLog(t *testing.T) {
	std := logrus.StandardLogger()
	defer logrus.SetOutput(std.Out)
	var elsewhere bytes.Buffer
	logrus.SetOutput(&elsewhere)

	stderr, shown := terminal(t)
	m := matrix.Matrix{Repeat: 1, Columns: []matrix.Column{{Name: "5.10", Cells: make([]matrix.Expectation, 2)}}}
	p := NewProgress(stderr, m)
	p.Log().Warn("of a guest")
	p.Tell(matrix.Progress{Kernel: "5.10", Scenario: "dio/ext4/none/none", Done: true, Differences: []string{"of a cell"}})
	if std.Out != &elsewhere {
		t.Error("the program's logger writes elsewhere meanwhile")
	}
	p.Close()
	p.Log().Warn("the last")
	logrus.Warn("of the program")
	if said := elsewhere.String(); strings.Count(said, "\n") != 1 || !strings.Contains(said, "of the program") {
		t.Errorf("the program's logger wrote %q", said)
	}

	var all []byte
	for end := time.Now().Add(10 * time.Second); !bytes.Contains(all, []byte("the last")) && time.Now().Before(end); {
		if n, err := unix.Poll([]unix.PollFd{{Fd: int32(shown.Fd()), Events: unix.POLLIN}}, 100); n == 0 || errors.Is(err, unix.EINTR) {
			continue
		}
		piece := make([]byte, 4096)
		n, err := shown.Read(piece)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, piece[:n]...)
	}
	for _, want := range []string{"of a guest", "dio/ext4/none/none: of a cell", "the last"} {
		if !bytes.Contains(all, []byte(want)) {
			t.Errorf("no %q in %q", want, all)
		}
	}

	// Where there is no terminal, there is no bar to pass above.
	var plain bytes.Buffer
	if p := NewProgress(&plain, m); p.Log() != logrus.FieldLogger(std) {
		t.Error("lines that are in nobody's way go another way")
	}
}
