package lab

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/internal/proto"
	"umemstress/soft-roce/lab/kernels"
	"umemstress/soft-roce/lab/machine"
	"umemstress/workload/late"
)

// hostSide is a QEMU process and the host's ends of everything that is connected
// to it.
type hostSide struct {
	cfg    *Config
	qemu   machine.Machine
	late   *late.Server // nil: it cannot be mounted here
	mapped []string     // shares whose files the guest's attributes are to be taken from

	lent []*os.File // inherited by QEMU, closed here once it runs

	control        *os.File
	events         *proto.EventStream // over control
	stdin          *os.File           // nil: the program has no input
	raw            *rawTerminal       // nil: no terminal is passed on, or not yet
	stdout, stderr *machine.Sink
	serial         *machine.SerialLog
	complaints     bytes.Buffer // QEMU's stderr
}

// newHostSide prepares everything up to the start of QEMU.
func newHostSide(ctx context.Context, c *Config) (_ *hostSide, err error) {
	h := &hostSide{cfg: c}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	qemu, err := host.QEMU.Find()
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
	seed := make([]byte, proto.SeedBytes)
	rand.Read(seed) // never fails
	initramfs, err := buildInitramfs(&c.Kernel, executable, program, &proto.Spec{
		Release: c.Kernel.Release,
		Modules: c.Kernel.Modules,
		LinksTo: c.Kernel.LinksTo,
		Program: c.Program,
		Dir:     c.Dir,
		Env:     c.environment(),
		Input:   c.Stdin != nil,
		Term:    terminalOf(c),
		Shares:  shares,
		Device:  !c.NoDevice,
		Pmem:    c.Pmem > 0,
		Network: c.network.spec(),
		Seed:    seed,

		TimerSlack: c.timerSlack(),
	}, c.Log)
	if err != nil {
		return nil, err
	}
	initramfsFD := h.lend(initramfs)
	state, err := kernels.CacheDir()
	if err != nil {
		return nil, err
	}
	if err := kernels.MakeDir(state); err != nil {
		return nil, err
	}
	disk, err := newScratchDisk(ctx, state, c.Disk)
	if err != nil {
		return nil, err
	}
	diskFD := h.lend(disk)
	if h.serial, err = machine.NewSerialLog(c.Serial, state); err != nil {
		return nil, err
	}
	devices := []machine.Device{
		machine.SerialConsole{Path: h.serial.Path()},
		machine.ScratchDisk{FD: diskFD},
		machine.Directory{Tag: proto.RootTag, Path: "/", ReadOnly: true},
	}
	for _, sh := range shares {
		mapped := isMapped(sh.Path, c.Log)
		if mapped {
			h.mapped = append(h.mapped, sh.Path)
		}
		devices = append(devices, machine.Directory{Tag: sh.Tag, Path: sh.Path, Mapped: mapped})
	}
	if h.late, err = late.Serve(); err != nil {
		c.Log.Debugf("lab: the guest has no share %s, by which the holder 9p pins before Linux 6.8: %v", late.Tag, err)
	} else {
		devices = append(devices, machine.Directory{Tag: late.Tag, Path: fmt.Sprintf("/proc/self/fd/%d", h.lend(h.late.Give()))})
	}
	devices = append(devices, machine.PortBus{})
	connect := func(name string) (*os.File, error) {
		here, there, err := socketPair(name)
		if err != nil {
			return nil, err
		}
		devices = append(devices, machine.Port{Name: name, FD: h.lend(there)})
		return here, nil
	}
	if h.control, err = connect(proto.PortControl); err != nil {
		return nil, err
	}
	h.events = proto.NewEventStream(h.control)
	if c.Stdin != nil {
		if h.stdin, err = connect(proto.PortStdin); err != nil {
			return nil, err
		}
	}
	stdout, err := connect(proto.PortStdout)
	if err != nil {
		return nil, err
	}
	h.stdout = machine.NewSink(stdout, c.Stdout)
	stderr, err := connect(proto.PortStderr)
	if err != nil {
		return nil, err
	}
	h.stderr = machine.NewSink(stderr, c.Stderr)
	devices = append(devices, c.network.devices(h)...)
	h.qemu = machine.Machine{
		Accel:     c.Accel,
		QEMU:      qemu,
		Memory:    c.Memory + c.Pmem,
		CPUs:      c.CPUs,
		Kernel:    c.Kernel.Image,
		Initramfs: initramfsFD,
		Append:    c.kernelArgs(),
		Devices:   devices,
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
	if err := h.late.Close(); err != nil {
		h.cfg.Log.Warnf("lab: %v", err)
	}
	for _, f := range []*os.File{h.control, h.stdin} {
		if f != nil {
			f.Close()
		}
	}
	for _, s := range []*machine.Sink{h.stdout, h.stderr} {
		if s != nil {
			s.Close()
		}
	}
	if h.serial != nil {
		h.serial.Close()
	}
}

// run starts QEMU and stays until it is gone.
func (h *hostSide) run(ctx context.Context) (Result, error) {
	if h.cfg.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, h.cfg.Timeout, errTimeout)
		defer cancel()
	}
	qemuCtx, kill := context.WithCancelCause(ctx)
	defer kill(nil)
	line := h.qemu.CommandLine()
	cmd := exec.CommandContext(qemuCtx, line[0], line[1:]...)
	cmd.ExtraFiles = h.lent
	cmd.Stdout = &h.complaints
	cmd.Stderr = &h.complaints
	begin := time.Now()
	ended, err := host.StartBound(cmd)
	switch {
	case err != nil && ctx.Err() != nil:
		return Result{}, h.explain(ctx, err)
	case err != nil:
		return Result{}, &LabError{Op: "start QEMU", Err: err}
	}
	h.closeLent()
	go h.stdout.Drain()
	go h.stderr.Drain()

	result := Result{Accel: h.qemu.Accel}
	exited, err := h.follow(&result, begin, kill)
	if err != nil || exited {
		// As if its power was cut: nothing of the guest is to be kept, and what
		// it wrote to shares is on the host already. Powering off takes a second.
		kill(nil)
	}
	qemuErr := <-ended
	for _, dir := range h.mapped {
		if err := unmap(dir); err != nil {
			h.cfg.Log.Warnf("lab: what the guest wrote to %s is there, with modes as QEMU made it: %v", dir, err)
		}
	}
	sinkErr := errors.Join(h.stdout.Wait(), h.stderr.Wait())
	if h.raw != nil {
		if err := h.raw.restore(); err != nil {
			h.cfg.Log.Warnf("lab: the terminal could not be restored: %v; type 'reset'", err)
		}
	}
	switch cause := context.Cause(qemuCtx); {
	case !exited && errors.As(cause, new(inputError)):
		return Result{}, h.labError("run the program", cause)
	case !exited && errors.Is(cause, errEscaped):
		return Result{}, context.Canceled
	case err != nil && ctx.Err() == nil:
		return Result{}, err
	case !exited:
		return Result{}, h.explain(ctx, qemuErr)
	}
	result.Total = time.Since(begin)
	if oops, died := machine.OopsReason(h.serial.Read()); died {
		result.Oops = &CrashError{Reason: oops, Serial: h.serial.Keep()}
	}
	h.cfg.Log.Debugf("lab: the program started after %s, the guest ended after %s", result.Boot, result.Total)
	if sinkErr != nil {
		return result, &LabError{Op: "pass on the program's output", Err: sinkErr}
	}
	return result, nil
}

// follow reads the guest's events. It returns true when the program ended and
// all its output has been passed on, and false when the port was closed before
// that, as it is when QEMU ends. What init would not have sent ends the guest.
func (h *hostSide) follow(result *Result, begin time.Time, kill func(error)) (bool, error) {
	for {
		ev, err := h.events.Receive()
		// A socket whose other end died with an order unread is reset.
		if errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) {
			return false, nil
		} else if err != nil {
			return false, h.labError("follow the guest", err)
		}
		switch ev.Kind {
		case proto.EventReady:
			result.Boot = time.Since(begin)
			if err := h.startInput(kill); err != nil {
				return false, h.labError("pass on the program's input", err)
			}
		case proto.EventFailed:
			return false, h.labError("set up the guest", errors.New(ev.Error))
		case proto.EventExited:
			result.ExitCode = ev.Code
			if !h.stdout.WaitFor(ev.Stdout) || !h.stderr.WaitFor(ev.Stderr) {
				return false, nil
			}
			return true, nil
		}
	}
}

func (h *hostSide) labError(op string, err error) error {
	return &LabError{Op: op, Err: err, Serial: h.serial.Keep()}
}
