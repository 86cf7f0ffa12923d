package lab

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
)

// hostSide is a QEMU process and the host's ends of everything that is connected
// to it.
type hostSide struct {
	cfg     *Config
	machine machine
	lent    []*os.File // inherited by QEMU, closed here once it runs

	control        *os.File
	stdout, stderr *sink
	serial         *serialLog
	complaints     bytes.Buffer // QEMU's stderr
}

// newHostSide prepares everything up to the start of QEMU.
func newHostSide(c *Config) (_ *hostSide, err error) {
	h := &hostSide{cfg: c}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	qemu, err := ToolQEMU.Find()
	if err != nil {
		return nil, err
	}
	shares, err := c.sharedDirs()
	if err != nil {
		return nil, err
	}
	executable, err := os.Executable()
	if err != nil {
		return nil, err
	}
	program, err := c.programPath()
	if err != nil {
		return nil, err
	}
	seed := make([]byte, seedBytes)
	rand.Read(seed) // never fails
	initramfs, err := buildInitramfs(&c.Kernel, executable, program, &spec{
		Release: c.Kernel.Release,
		Modules: c.Kernel.Modules,
		Program: c.Program,
		Dir:     c.Dir,
		Env:     c.environment(),
		Shares:  shares,
		Device:  !c.NoDevice,
		Seed:    seed,
	})
	if err != nil {
		return nil, err
	}
	initramfsFD := h.lend(initramfs)
	state, err := CacheDir()
	if err != nil {
		return nil, err
	}
	disk, err := newScratchDisk(state, c.Disk)
	if err != nil {
		return nil, err
	}
	diskFD := h.lend(disk)
	if h.serial, err = newSerialLog(c.Serial, state); err != nil {
		return nil, err
	}
	devices := []device{
		serialConsole{h.serial.path()},
		scratchDisk{diskFD},
		directory{tag: rootTag, path: "/", readOnly: true},
	}
	for _, sh := range shares {
		devices = append(devices, directory{tag: sh.Tag, path: sh.Path})
	}
	devices = append(devices, portBus{})
	connect := func(name string) (*os.File, error) {
		here, there, err := socketPair(name)
		if err != nil {
			return nil, err
		}
		devices = append(devices, port{name, h.lend(there)})
		return here, nil
	}
	if h.control, err = connect(portControl); err != nil {
		return nil, err
	}
	stdout, err := connect(portStdout)
	if err != nil {
		return nil, err
	}
	h.stdout = newSink(stdout, c.Stdout)
	stderr, err := connect(portStderr)
	if err != nil {
		return nil, err
	}
	h.stderr = newSink(stderr, c.Stderr)
	h.machine = machine{
		accel:     c.Accel,
		qemu:      qemu,
		memory:    c.Memory,
		cpus:      c.CPUs,
		kernel:    c.Kernel.Image,
		initramfs: initramfsFD,
		append:    c.Append,
		devices:   devices,
	}
	return h, nil
}

// lend gives f to QEMU and returns the number that it has there.
func (h *hostSide) lend(f *os.File) int {
	h.lent = append(h.lent, f)
	return len(h.lent) + 2 // after stdin, stdout and stderr
}

func socketPair(name string) (here, there *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socket for the port %s: %w", name, err)
	}
	return os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name), nil
}

func (h *hostSide) closeLent() {
	for _, f := range h.lent {
		f.Close()
	}
	h.lent = nil
}

func (h *hostSide) close() {
	h.closeLent()
	if h.control != nil {
		h.control.Close()
	}
	for _, s := range []*sink{h.stdout, h.stderr} {
		if s != nil {
			s.close()
		}
	}
	if h.serial != nil {
		h.serial.close()
	}
}

// run starts QEMU and stays until it is gone.
func (h *hostSide) run(ctx context.Context) (Result, error) {
	if h.cfg.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, h.cfg.Timeout, errTimeout)
		defer cancel()
	}
	qemuCtx, kill := context.WithCancel(ctx)
	defer kill()
	line := h.machine.commandLine()
	cmd := exec.CommandContext(qemuCtx, line[0], line[1:]...)
	cmd.ExtraFiles = h.lent
	cmd.Stdout = &h.complaints
	cmd.Stderr = &h.complaints
	begin := time.Now()
	ended, err := startBound(cmd)
	if err != nil {
		return Result{}, &LabError{Op: "start QEMU", Err: err}
	}
	h.closeLent()
	go h.stdout.drain()
	go h.stderr.drain()

	result := Result{Accel: h.machine.accel}
	exited, err := h.follow(&result, begin)
	if err != nil || exited {
		// As if its power was cut: nothing of the guest is to be kept, and what
		// it wrote to shares is on the host already. Powering off takes a second.
		kill()
	}
	qemuErr := <-ended
	sinkErr := errors.Join(h.stdout.wait(), h.stderr.wait())
	switch {
	case err != nil && ctx.Err() == nil:
		return Result{}, err
	case !exited:
		return Result{}, h.explain(ctx, qemuErr)
	}
	result.Total = time.Since(begin)
	logrus.Debugf("lab: the program started after %s, the guest ended after %s", result.Boot, result.Total)
	if sinkErr != nil {
		return result, &LabError{Op: "pass on the program's output", Err: sinkErr}
	}
	return result, nil
}

// follow reads the guest's events. It returns true when the program ended and
// all its output has been passed on, and false when the port was closed before
// that, as it is when QEMU ends.
func (h *hostSide) follow(result *Result, begin time.Time) (bool, error) {
	events := newEventStream(h.control)
	for {
		ev, err := events.receive()
		if err != nil {
			return false, nil
		}
		switch ev.Kind {
		case eventReady:
			result.Boot = time.Since(begin)
		case eventFailed:
			return false, h.labError("set up the guest", errors.New(ev.Error))
		case eventExited:
			result.ExitCode = ev.Code
			if !h.stdout.waitFor(ev.Stdout) || !h.stderr.waitFor(ev.Stderr) {
				return false, nil
			}
			return true, nil
		}
	}
}

func (h *hostSide) labError(op string, err error) error {
	return &LabError{Op: op, Err: err, Serial: h.serial.keep()}
}
