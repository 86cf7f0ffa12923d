package guest

import (
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/internal/proto"
)

// InitIfPID1 makes the process the init of the lab's guest if that is what it
// was started for, and does not return then. Otherwise it does nothing. Every
// executable that calls Run of package lab has to call it first in main, or in TestMain.
func InitIfPID1() {
	if os.Getpid() != 1 {
		return
	}
	if _, err := os.Stat(proto.SpecPath); err != nil {
		return
	}
	fmt.Fprintf(os.Stderr, "%s%v\n", proto.InitFailure, serve())
	powerOff()
}

func powerOff() {
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {} // PID 1 must not return
}

// serve does what the spec says. It returns only if the host cannot be told what
// became of it.
func serve() error {
	raw, err := os.ReadFile(proto.SpecPath)
	if err != nil {
		return err
	}
	var s proto.Spec
	if err := json.Unmarshal(raw, &s); err != nil {
		return fmt.Errorf("%s: %w", proto.SpecPath, err)
	}
	if err := mountEarly(); err != nil {
		return err
	}
	if err := seedRandom(s.Seed); err != nil {
		return err
	}
	if err := loadStage(proto.StageBus); err != nil {
		return err
	}
	to, err := openPorts(s.Input)
	if err != nil {
		return err
	}
	exit, err := run(&s, to)
	if err != nil {
		exit = proto.Event{Kind: proto.EventFailed, Error: err.Error()}
	}
	if err := to.control.Send(exit); err != nil {
		return err
	}
	select {} // until the host has read everything and ends the guest
}

func run(s *proto.Spec, to *ports) (proto.Event, error) {
	var stages errgroup.Group
	stages.Go(mountHost)
	stages.Go(mountScratch)
	stages.Go(func() error { return loadStage(proto.StageLoop) })
	if s.Device {
		stages.Go(func() error {
			if err := linkUp(s.Network); err != nil {
				return fmt.Errorf("soft-RoCE: %w", err)
			}
			return nil
		})
	}
	if err := stages.Wait(); err != nil {
		return proto.Event{}, err
	}
	if err := switchRoot(s); err != nil {
		return proto.Event{}, err
	}
	if s.Pmem {
		if err := pmemUp(); err != nil {
			return proto.Event{}, fmt.Errorf("persistent memory: %w", err)
		}
	}
	if s.Network != nil {
		if err := introduce(*s.Network); err != nil {
			return proto.Event{}, err
		}
	}
	if err := to.control.Send(proto.Event{Kind: proto.EventReady}); err != nil {
		return proto.Event{}, err
	}
	return runProgram(s, to)
}
