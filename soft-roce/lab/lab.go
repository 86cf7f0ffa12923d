package lab

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/internal/proto"
	"umemstress/soft-roce/lab/kernels"
	"umemstress/soft-roce/lab/machine"
	"umemstress/workload/meminfo"
)

// Config is a guest and the program that it runs. Only Kernel and Program are
// required.
type Config struct {
	Kernel  kernels.Kernel
	Program []string // a program of the host, and its arguments

	Dir    string   // working directory; default: that of the caller
	Env    []string // KEY=VALUE, added to PATH, HOME, TERM and LANG of the caller
	Shares []string // directories of the host that the program may write to

	Memory  int64         // bytes; default 2 GiB
	CPUs    int           // default: those of the host, at most 4
	Disk    int64         // size of the scratch disk in bytes; default 8 GiB, sparse
	Pmem    int64         // bytes of persistent memory, PmemDevice, beside Memory; default: none
	Append  string        // added to the kernel's command line
	Timeout time.Duration // from the start of QEMU to the end of the program; 0: none

	NoDevice bool // do not bring up soft-RoCE

	// TimerSlack is how late the kernel may wake the program's threads from a sleep (prctl(2)).
	// By default it is the kernel's 50 µs, and EmulatedTimerSlack under software emulation.
	TimerSlack time.Duration

	network *network // with another guest; nil: none

	// Accel is decided by default: KVM where it really works, else TCG.
	Accel machine.Accel

	// Serial is the file for what the guest's kernel writes to its console. By
	// default it is a temporary file, which is kept only if there is an error.
	Serial string

	// Stdin is what the program reads; nil: nothing. It is read ahead of the program, and
	// a read of it may still be waiting when Run returns.
	Stdin io.Reader
	// Terminal is the one that Stdin and Stdout are. The program then gets a terminal of
	// the guest with the same size, and this one passes on every key while it runs.
	Terminal *os.File

	Stdout, Stderr io.Writer // of the program; nil: discarded

	Log logrus.FieldLogger // what a person may want to know meanwhile; nil: logrus's own logger
}

// EmulatedTimerSlack is a tick of Debian's kernels. Go's monitor thread wants to sleep for 20 µs
// again and again beside system calls, and each timer is dear to emulate: with the kernel's slack
// they were 18 % of the processor time of runs on 5.10.
const EmulatedTimerSlack = 4 * time.Millisecond

// maxTimerSlack is what Linux 5.10 and newer are sure to take as it is, and more than any program can use.
const maxTimerSlack = time.Second

// Result is how a program ended.
type Result struct {
	ExitCode int           // of the program; 128+n if signal n ended it
	Accel    machine.Accel // what ran the guest's code
	Boot     time.Duration // from the start of QEMU to the start of the program
	Total    time.Duration // from the start of QEMU to its end
	Oops     *CrashError   // a thread of the guest's kernel died, and the program ended all the same; nil: none did
}

// defaults returns the configuration with the zero values filled in.
func (c Config) defaults() (Config, error) {
	var err error
	// Before the defaults: they are to be tried, also where there is less memory.
	if err := c.Check(); err != nil {
		return c, err
	}
	if c.Dir == "" {
		if c.Dir, err = os.Getwd(); err != nil {
			return c, err
		}
	}
	if c.Memory == 0 {
		c.Memory = 2 << 30
	}
	if c.CPUs == 0 {
		c.CPUs = min(runtime.NumCPU(), 4)
	}
	if c.Disk == 0 {
		c.Disk = 8 << 30
	}
	if c.Stdin == nil && c.Terminal != nil {
		c.Stdin = c.Terminal
	}
	if c.Stdout == nil {
		c.Stdout = io.Discard
	}
	if c.Stderr == nil {
		c.Stderr = io.Discard
	}
	c.Log = host.Log(c.Log)
	return c, nil
}

// timerSlack is the program's, once Accel is decided.
func (c *Config) timerSlack() time.Duration {
	if c.TimerSlack == 0 && c.Accel == machine.TCG {
		return EmulatedTimerSlack
	}
	return c.TimerSlack
}

// maxDisk is what a sparse file can be on the file systems of hosts, ext4 among them.
const maxDisk = 8 << 40

// Check refuses what no guest can be given here, whatever its kernel: so that none is
// fetched for it.
func (c *Config) Check() error {
	if len(c.Program) == 0 {
		return host.Usagef("no program to run in the guest")
	}
	if err := c.checkSizes(); err != nil {
		return err
	}
	if _, err := c.programPath(); err != nil {
		return err
	}
	if _, err := c.sharedDirs(); err != nil {
		return err
	}
	return machine.CheckSerialLog(c.Serial)
}

// checkSizes takes zero for the default.
func (c *Config) checkSizes() error {
	if c.Memory != 0 && c.Memory < 256<<20 {
		return host.Usagef("%d MiB of memory: a stock kernel needs 256 MiB to boot", c.Memory>>20)
	}
	if has, err := meminfo.Read(); err == nil && c.Memory+c.Pmem > has.Total {
		return host.Usagef("%d MiB of memory: this host has %d MiB in all; choose less", (c.Memory+c.Pmem)>>20, has.Total>>20)
	}
	if c.TimerSlack < 0 || c.TimerSlack > maxTimerSlack {
		return host.Usagef("a timer slack of %v: choose one from 1ns to %v", c.TimerSlack, maxTimerSlack)
	}
	if c.CPUs < 0 || c.CPUs > 255 {
		return host.Usagef("%d CPUs: choose 1 to 255", c.CPUs)
	}
	if err := c.checkPmem(); err != nil {
		return err
	}
	if c.Disk != 0 && (c.Disk < 64<<20 || c.Disk > maxDisk) {
		return host.Usagef("a scratch disk of %d MiB: choose from 64 to %d", c.Disk>>20, maxDisk>>20)
	}
	return nil
}

// programPath finds the program where the guest will: in the host's tree.
func (c *Config) programPath() (string, error) {
	name := c.Program[0]
	if strings.Contains(name, "/") && !filepath.IsAbs(name) && c.Dir != "" {
		name = filepath.Join(c.Dir, name)
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", host.Usagef("program for the guest: %v", err)
	}
	return filepath.Abs(path)
}

// environment is the program's.
func (c *Config) environment() []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TERM", "LANG"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return append(append(env, "TMPDIR="+proto.GuestTmp), c.Env...)
}

// sharedDirs makes the shares, with the mount tags of their order.
func (c *Config) sharedDirs() ([]proto.Share, error) {
	var shares []proto.Share
	for i, dir := range c.Shares {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return nil, err
		}
		if st, err := os.Stat(abs); err != nil {
			return nil, host.Usagef("share: %v", err)
		} else if !st.IsDir() {
			return nil, host.Usagef("share: %s is not a directory", abs)
		}
		shares = append(shares, proto.Share{Tag: fmt.Sprintf("share%d", i), Path: abs})
	}
	return shares, nil
}

// Run boots the guest, runs the program in it and waits for its end. An exit
// code other than 0 is a result and no error. Errors tell by their methods what
// they are: *CrashError and *LabError have an ExitCode, others are marked as
// Usage or HostLacks. When ctx is cancelled, the guest is killed and the error
// is context.Canceled.
func Run(ctx context.Context, c Config) (Result, error) {
	c, err := c.defaults()
	if err != nil {
		return Result{}, err
	}
	if !c.NoDevice {
		if err := c.Kernel.CheckDevice(); err != nil {
			return Result{}, err
		}
	}
	if c.Pmem > 0 {
		if err := c.Kernel.CheckPmem(); err != nil {
			return Result{}, err
		}
	}
	if c.Accel == "" {
		if c.Accel, err = Accelerator(ctx, c.Kernel, c.Log); err != nil {
			return Result{}, err
		}
	}
	h, err := newHostSide(ctx, &c)
	if err != nil {
		return Result{}, err
	}
	defer h.close()
	return h.run(ctx)
}
