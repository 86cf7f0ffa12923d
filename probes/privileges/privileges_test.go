package privileges

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// asChild has the test binary give its privileges up and say what every thread of it has then.
const asChild = "TEST_KEEPS_PRIVILEGES"

func TestMain(m *testing.M) {
	if os.Getenv(asChild) != "" {
		if err := child(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child has threads that wait in the kernel, from before and from after.
func child() error {
	for range 3 {
		go unix.Pause()
	}
	time.Sleep(50 * time.Millisecond)
	kept, err := Keep([]Need{
		{Capability: cap.SYS_NICE, For: "always"},
		{Capability: cap.SYS_PTRACE, For: "if asked", Refused: func() error {
			if has, err := cap.GetProc().GetFlag(cap.Effective, cap.SYS_PTRACE); has || err != nil {
				return nil // it was not taken away to try
			}
			return errors.New("refused")
		}},
		{Capability: cap.SYS_CHROOT, For: "not with what was asked for before", Refused: func() error {
			if has, err := cap.GetProc().GetFlag(cap.Effective, cap.SYS_PTRACE); has || err != nil {
				return nil
			}
			return errors.New("refused")
		}},
		{Capability: cap.SYS_ADMIN, For: "not really", Refused: func() error { return nil }},
	})
	if err != nil {
		return err
	}
	for _, n := range kept {
		fmt.Println("kept", n.Capability, n.For)
	}
	for range 3 {
		go unix.Pause()
	}
	time.Sleep(50 * time.Millisecond)
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		return err
	}
	for _, path := range tasks {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		os.Stdout.Write(text)
	}
	return nil
}

// Of what a process has, all threads keep what is needed, and no program gets more.
func TestKeep(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asChild+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var want uint64
	had := cap.GetProc()
	said := ""
	for v, text := range map[cap.Value]string{cap.SYS_NICE: "always", cap.SYS_PTRACE: "if asked"} {
		if has, _ := had.GetFlag(cap.Permitted, v); has {
			want |= 1 << v
			if !strings.Contains(string(out), fmt.Sprintf("kept %v %s\n", v, text)) {
				said += v.String() + " "
			}
		}
	}
	if said != "" || strings.Contains(string(out), "not ") {
		t.Errorf("not said to be kept: %s\n%s", said, out)
	}
	sets := map[string]string{"CapInh": "0000000000000000", "CapPrm": fmt.Sprintf("%016x", want), "CapEff": fmt.Sprintf("%016x", want), "CapAmb": "0000000000000000", "NoNewPrivs": "1"}
	if may, _ := had.GetFlag(cap.Effective, cap.SETPCAP); may {
		sets["CapBnd"] = "0000000000000000"
	}
	threads := strings.Count(string(out), "\nTgid:")
	for name, value := range sets {
		if n := strings.Count(string(out), name+":\t"+value+"\n"); n != threads || n < 6 {
			t.Errorf("%s is %s in %d of %d threads\n%s", name, value, n, threads, out)
		}
	}
}
