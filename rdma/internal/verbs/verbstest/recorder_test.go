package verbstest

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// recorder is the little of a test that checks need, and does not fail itself.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	said     []string // of what failed
	cleanups []func()
}

// do runs f, which may end its goroutine.
func (r *recorder) do(f func()) {
	var wg sync.WaitGroup
	wg.Go(f)
	wg.Wait()
}

func (r *recorder) Helper()                         {}
func (r *recorder) Cleanup(f func())                { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Error(args ...any)               { r.fail(fmt.Sprint(args...)) }
func (r *recorder) Errorf(text string, args ...any) { r.fail(fmt.Sprintf(text, args...)) }

func (r *recorder) Fatal(args ...any) {
	r.fail(fmt.Sprint(args...))
	runtime.Goexit()
}

func (r *recorder) Fatalf(text string, args ...any) {
	r.fail(fmt.Sprintf(text, args...))
	runtime.Goexit()
}

func (r *recorder) fail(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, text)
}
