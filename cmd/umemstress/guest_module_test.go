//go:build guest

package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/probes/observe"
	"umemstress/soft-roce/link"
)

// linkUp makes the guest's device again, over the netdev that it had. The modules are loaded.
func linkUp(t *testing.T, l link.Link) {
	t.Helper()
	shell(t, "modprobe -a ib_uverbs rdma_rxe")
	if _, err := link.Up(context.Background(), link.Config{Name: l.Name, NetDev: l.NetDev}); err != nil {
		t.Fatal(err)
	}
}

// unload takes the modules of RDMA out of the kernel, and the guest's device with them, and says
// whether it could.
func unload(t *testing.T) bool {
	t.Helper()
	out, err := exec.Command("sh", "-c", "modprobe -r rdma_ucm 2>/dev/null; modprobe -r rdma_rxe && modprobe -r ib_uverbs && modprobe -r ib_core").CombinedOutput()
	t.Logf("unload: %v: %s", err, out)
	_, err = os.Stat("/sys/module/ib_uverbs")
	return errors.Is(err, fs.ErrNotExist)
}

// releases is the hook on the release of RDMA regions.
func releases(l observe.Line) observe.Hook {
	i := slices.IndexFunc(l.Hooks, func(h observe.Hook) bool { return h.Purpose == "release of a umem" })
	if i < 0 {
		return observe.Hook{}
	}
	return l.Hooks[i]
}

// The modules of RDMA are loaded while it observes: it watches them as soon as they are there, and
// says so. It says, too, that it no longer does when others have come in their place.
func TestObserveModule(t *testing.T) {
	links, err := link.List()
	if err != nil || len(links) != 1 {
		t.Fatalf("%+v, %v", links, err)
	}
	t.Cleanup(func() { linkUp(t, links[0]) })
	if !unload(t) {
		t.Fatal("ib_uverbs is still loaded")
	}
	o := beginService(t, "--pid", strconv.Itoa(os.Getpid())) // which has the privileges for it until then
	started, _ := o.find(func(l observe.Line) bool { return l.Event == observe.Started })
	if h := releases(started); h.Purpose == "" || h.Symbol != "" || h.Without == "" {
		t.Errorf("before: %+v", h)
	}
	if had := capabilitiesAs(t, o.cmd.Process.Pid, "CapBnd:\t"); !slices.Contains(had, "PERFMON") || !slices.Contains(had, "BPF") {
		t.Errorf("it has %q", had)
	}
	begun := time.Now()
	shell(t, "modprobe ib_uverbs")
	loaded := time.Now()
	rehooked := o.await(t, func(l observe.Line) bool { return l.Event == observe.Rehooked && releases(l).Symbol != "" })
	t.Logf("loaded in %v, watched %v later: %s", loaded.Sub(begun), time.Since(loaded), rehooked.Text())
	if had := capabilitiesAs(t, o.cmd.Process.Pid, "CapBnd:\t"); slices.Contains(had, "PERFMON") || slices.Contains(had, "SYS_ADMIN") {
		t.Errorf("it still has %q", had)
	}
	linkUp(t, links[0])
	t.Run("register", func(t *testing.T) { // which lets go of the device in the end
		newRegistrar(t).register(t, 2)
		l := o.await(t, func(l observe.Line) bool { return l.Event == registration() })
		if !strings.HasSuffix(l.Path, "/pool") {
			t.Errorf("%+v", l)
		}
	})
	// The observer never gets to see that it is not there.
	if err := o.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	unloaded := unload(t) // fentry and kprobe-multi keep a module
	shell(t, "modprobe ib_uverbs")
	if err := o.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if unloaded { // and what it has no privilege any more to attach to again
		o.await(t, func(l observe.Line) bool {
			return l.Event == observe.Rehooked && releases(l).Symbol == "" && releases(l).Without != ""
		})
	} else if releases(rehooked).Method == "kprobe" && *expectVerdict == "data-lost" {
		t.Error("a kprobe keeps the module")
	}
	if summary, code := o.end(t); code != exit.Clean || summary.Pinned+summary.Refused != 2 {
		t.Errorf("exit code %d, %+v", code, summary)
	}
	if left := kprobeEvents(t, "umemstress"); len(left) != 0 {
		t.Errorf("left %q", left)
	}
}
