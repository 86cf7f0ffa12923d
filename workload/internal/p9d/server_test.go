package p9d

import (
	"bytes"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hugelgupf/p9/p9"

	"umemstress/workload/child"
	"umemstress/workload/internal/lateread"
)

func TestMain(m *testing.M) {
	child.RunIfChild(map[string]child.Main{Child: Main})
	os.Exit(m.Run())
}

// served is a file of a server, as a client has it that is no kernel.
func served(t *testing.T, size int64) (*lateread.Process, p9.File) {
	t.Helper()
	ours, its, err := connection()
	must(t, err)
	process, err := lateread.Start(lateread.Config{
		Child: Child, By: "9p", Connection: its, Size: size,
		Holds: func(at, _ int64) (int64, error) { return begun(at, size), nil },
	})
	must(t, err)
	t.Cleanup(func() { must(t, process.Close()) })
	must(t, its.Close())
	conn, err := net.FileConn(ours)
	must(t, err)
	must(t, ours.Close())
	client, err := p9.NewClient(conn, p9.WithMessageSize(messageBytes))
	must(t, err)
	t.Cleanup(func() { _ = client.Close() }) // the server is gone
	root, err := client.Attach("")
	must(t, err)
	_, file, err := root.Walk([]string{fileName})
	must(t, err)
	_, _, err = file.Open(p9.ReadOnly)
	must(t, err)
	return process, file
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Reads wait until they are let go, and bring the answers, over and over, from their place on.
func TestReadsWait(t *testing.T) {
	const size = ReadBytes + 5
	process, file := served(t, size)
	_, _, attributes, err := file.GetAttr(p9.AttrMaskAll)
	if err != nil || attributes.Size != size || !attributes.Mode.IsRegular() {
		t.Fatalf("%+v, %v", attributes, err)
	}
	arrived := make(chan error, 2)
	got := [][]byte{make([]byte, 4096), make([]byte, 5)}
	for i, at := range []int64{0, ReadBytes} {
		go func() {
			_, err := file.ReadAt(got[i], at)
			arrived <- err
		}()
	}
	for held := int64(0); held != size; {
		select {
		case err := <-arrived:
			t.Fatalf("a read was answered before it was let go: %v", err)
		case <-time.After(time.Millisecond):
		}
		held, err = process.Held()
		must(t, err)
	}
	must(t, process.LetGo([]byte("umem")))
	must(t, <-arrived)
	must(t, <-arrived)
	if want := bytes.Repeat([]byte("umem"), 1024); !bytes.Equal(got[0], want) || string(got[1]) != "umemu" {
		t.Errorf("%q, %q", got[0], got[1])
	}
	if n, err := file.ReadAt(make([]byte, 9), size); n != 0 {
		t.Errorf("%d bytes beyond the end, %v", n, err)
	}
	if _, _, err := file.Walk([]string{"other"}); err == nil {
		t.Error("a file has files")
	}
}

// A server that somebody ends says what became of it.
func TestServerGone(t *testing.T) {
	process, file := served(t, 4096)
	answered := make(chan error)
	go func() {
		_, err := file.ReadAt(make([]byte, 4096), 0)
		answered <- err
	}()
	for held := int64(0); held == 0; time.Sleep(time.Millisecond) {
		var err error
		held, err = process.Held()
		must(t, err)
	}
	must(t, process.Kill())
	if err := <-answered; err == nil {
		t.Error("a read of a server that is gone brought something")
	}
	const says = "the run's own 9p server ended (signal: killed), and no read holds a page any more"
	if _, err := process.Held(); err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("%v", err)
	}
	if err := process.LetGo([]byte("umem")); err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("%v", err)
	}
}

// Of what a read asks for in parts, its first part alone tells what it holds.
func TestBegun(t *testing.T) {
	for _, c := range []struct{ at, size, want int64 }{{0, 4096, 4096}, {0, 3 * ReadBytes, ReadBytes}, {messageBytes - 24, ReadBytes, 0}, {ReadBytes, ReadBytes + 4096, 4096}} {
		if got := begun(c.at, c.size); got != c.want {
			t.Errorf("at %d of %d: %d, want %d", c.at, c.size, got, c.want)
		}
	}
}
