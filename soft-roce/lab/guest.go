package lab

import (
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// InitIfPID1 makes the process the init of the lab's guest if that is what it
// was started for, and does not return then. Otherwise it does nothing. Every
// executable that calls Run has to call it first in main, or in TestMain.
func InitIfPID1() {
	if os.Getpid() != 1 {
		return
	}
	if _, err := os.Stat(specPath); err != nil {
		return
	}
	if err := guestMain(); err != nil {
		fmt.Fprintf(os.Stderr, "%s%v\n", initFailure, err)
	}
	powerOff()
}

func powerOff() {
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {} // PID 1 must not return
}

func guestMain() error {
	raw, err := os.ReadFile(specPath)
	if err != nil {
		return err
	}
	var s spec
	if err := json.Unmarshal(raw, &s); err != nil {
		return fmt.Errorf("%s: %w", specPath, err)
	}
	if err := mountEarly(); err != nil {
		return err
	}
	if err := seedRandom(s.Seed); err != nil {
		return err
	}
	if err := loadStage(stageBus); err != nil {
		return err
	}
	ports, err := openPorts()
	if err != nil {
		return err
	}
	exit, err := guestRun(&s, ports)
	if err != nil {
		exit = event{Kind: eventFailed, Error: err.Error()}
	}
	if err := ports.control.send(exit); err != nil {
		return err
	}
	select {} // until the host has read everything and ends the guest
}

func guestRun(s *spec, ports *guestPorts) (event, error) {
	var stages errgroup.Group
	stages.Go(mountHost)
	stages.Go(mountScratch)
	stages.Go(func() error { return loadStage(stageLoop) })
	if s.Device {
		stages.Go(func() error {
			if err := linkUp(); err != nil {
				return fmt.Errorf("soft-RoCE: %w", err)
			}
			return nil
		})
	}
	if err := stages.Wait(); err != nil {
		return event{}, err
	}
	if err := switchRoot(s); err != nil {
		return event{}, err
	}
	if err := ports.control.send(event{Kind: eventReady}); err != nil {
		return event{}, err
	}
	return runProgram(s, ports)
}
