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

// guest is a QEMU process and the host's ends of everything that is connected
// to it.
type guest struct {
	cfg     *Config
	machine machine
	lent    []*os.File // inherited by QEMU, closed here once it runs

	control        *os.File
	stdout, stderr *sink
	serial         *serialLog
	complaints     bytes.Buffer // QEMU's stderr
}

// newGuest prepares everything up to the start of QEMU.
func newGuest(c *Config) (_ *guest, err error) {
	g := &guest{cfg: c}
	defer func() {
		if err != nil {
			g.close()
		}
	}()
	qemu, err := findTool("qemu-system-x86_64", "qemu-system-x86")
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
	initramfsFD := g.lend(initramfs)
	state, err := CacheDir()
	if err != nil {
		return nil, err
	}
	disk, err := newScratchDisk(state, c.Disk)
	if err != nil {
		return nil, err
	}
	diskFD := g.lend(disk)
	if g.serial, err = newSerialLog(c.Serial, state); err != nil {
		return nil, err
	}
	devices := []device{
		serialConsole{g.serial.path()},
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
		devices = append(devices, port{name, g.lend(there)})
		return here, nil
	}
	if g.control, err = connect(portControl); err != nil {
		return nil, err
	}
	stdout, err := connect(portStdout)
	if err != nil {
		return nil, err
	}
	g.stdout = newSink(stdout, c.Stdout)
	stderr, err := connect(portStderr)
	if err != nil {
		return nil, err
	}
	g.stderr = newSink(stderr, c.Stderr)
	g.machine = machine{
		accel:     c.Accel,
		qemu:      qemu,
		memory:    c.Memory,
		cpus:      c.CPUs,
		kernel:    c.Kernel.Image,
		initramfs: initramfsFD,
		append:    c.Append,
		devices:   devices,
	}
	return g, nil
}

// lend gives f to QEMU and returns the number that it has there.
func (g *guest) lend(f *os.File) int {
	g.lent = append(g.lent, f)
	return len(g.lent) + 2 // after stdin, stdout and stderr
}

func socketPair(name string) (here, there *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socket for the port %s: %w", name, err)
	}
	return os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name), nil
}

func (g *guest) closeLent() {
	for _, f := range g.lent {
		f.Close()
	}
	g.lent = nil
}

func (g *guest) close() {
	g.closeLent()
	if g.control != nil {
		g.control.Close()
	}
	for _, s := range []*sink{g.stdout, g.stderr} {
		if s != nil {
			s.src.Close()
		}
	}
	if g.serial != nil {
		g.serial.close()
	}
}

// run starts QEMU and stays until it is gone.
func (g *guest) run(ctx context.Context) (Result, error) {
	if g.cfg.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, g.cfg.Timeout, errTimeout)
		defer cancel()
	}
	qemuCtx, kill := context.WithCancel(ctx)
	defer kill()
	line := g.machine.commandLine()
	cmd := exec.CommandContext(qemuCtx, line[0], line[1:]...)
	cmd.ExtraFiles = g.lent
	cmd.Stdout = &g.complaints
	cmd.Stderr = &g.complaints
	begin := time.Now()
	ended, err := startBound(cmd)
	if err != nil {
		return Result{}, &LabError{Op: "start QEMU", Err: err}
	}
	g.closeLent()
	go g.stdout.drain()
	go g.stderr.drain()

	result := Result{Accel: g.machine.accel}
	exited, err := g.follow(&result, begin)
	if err != nil || exited {
		// As if its power was cut: nothing of the guest is to be kept, and what
		// it wrote to shares is on the host already. Powering off takes a second.
		kill()
	}
	qemuErr := <-ended
	<-g.stdout.done
	<-g.stderr.done
	switch {
	case err != nil && ctx.Err() == nil:
		return Result{}, err
	case !exited:
		return Result{}, g.explain(ctx, qemuErr)
	}
	result.Total = time.Since(begin)
	logrus.Debugf("lab: the program started after %s, the guest ended after %s", result.Boot, result.Total)
	return result, g.sinkError()
}

// follow reads the guest's events. It returns true when the program ended and
// all its output has been passed on, and false when the port was closed before
// that, as it is when QEMU ends.
func (g *guest) follow(result *Result, begin time.Time) (bool, error) {
	events := newEventStream(g.control)
	for {
		ev, err := events.receive()
		if err != nil {
			return false, nil
		}
		switch ev.Kind {
		case eventReady:
			result.Boot = time.Since(begin)
		case eventFailed:
			return false, g.labError("set up the guest", errors.New(ev.Error))
		case eventExited:
			result.ExitCode = ev.Code
			if !g.stdout.waitFor(ev.Stdout) || !g.stderr.waitFor(ev.Stderr) {
				return false, nil
			}
			return true, nil
		}
	}
}

func (g *guest) labError(op string, err error) error {
	return &LabError{Op: op, Err: err, Serial: g.serial.keep()}
}

func (g *guest) sinkError() error {
	if err := errors.Join(g.stdout.err, g.stderr.err); err != nil {
		return &LabError{Op: "pass on the program's output", Err: err}
	}
	return nil
}
