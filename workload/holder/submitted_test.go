package holder

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// A thread that ends while it is asked for has ended: this kernel counts, and nothing has failed. Of a
// worker of io_uring either was taken for a count, and a run waited for its reads for ever.
func TestSubmittedOfEndingThread(t *testing.T) {
	counted, err := Submitted(unix.Gettid())
	if err != nil || counted == NotCounted {
		t.Fatalf("of a thread that lives: %d, %v", counted, err)
	}
	for range 2000 {
		thread := make(chan int)
		go func() {
			runtime.LockOSThread() // and never unlocks it, so that the thread ends
			thread <- unix.Gettid()
		}()
		ending := <-thread
		for ending != unix.Getpid() { // which the runtime never ends
			bytes, err := Submitted(ending)
			if errors.Is(err, os.ErrNotExist) {
				break
			}
			if err != nil || bytes == NotCounted {
				t.Fatalf("%d, %v; want bytes until it has ended, and then %v", bytes, err, os.ErrNotExist)
			}
		}
	}
}
