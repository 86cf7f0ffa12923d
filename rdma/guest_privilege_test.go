//go:build guest

package rdma

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// What limits and privileges do is tested in a process of its own: this test
// binary again, which finds its role in the environment.
const (
	roleVariable    = "UMEMSTRESS_RDMA_TEST_ROLE"
	roleMemlock     = "memlock"
	rolePermission  = "permission"
	roleCredentials = "credentials"
	roleLatency     = "latency"

	nobody      = 65534
	lockedBytes = 64 << 10
)

func TestUnprivilegedProcess(t *testing.T) {
	for role, want := range map[string][]string{
		roleMemlock:     {"RLIMIT_MEMLOCK", "may lock 65536 bytes", "host lacks: true", "then 4096 bytes: <nil>"},
		rolePermission:  {"EACCES", "access to the device node", "host lacks: true"},
		roleCredentials: {"EACCES", "changed its credentials", "host lacks: true"},
	} {
		t.Run(role, func(t *testing.T) {
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), roleVariable+"="+role)
			if role != roleCredentials {
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
			}
			mode := os.FileMode(0o666)
			if role == rolePermission {
				mode = 0o600
			}
			setNodeMode(t, mode)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%s", out)
			for _, text := range want {
				if !strings.Contains(string(out), text) {
					t.Errorf("%q is missing", text)
				}
			}
		})
	}
}

func setNodeMode(t *testing.T, mode os.FileMode) {
	t.Helper()
	d, err := FindDevice("/sys", "")
	if err != nil {
		t.Fatal(err)
	}
	node := deviceNodes + "/" + d.Uverbs
	info, err := os.Stat(node)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(node, mode); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Chmod(node, info.Mode().Perm()); err != nil {
			t.Error(err)
		}
	})
}

// play is the child process. It prints the error that its role is about and what
// the package makes of it.
func play(role string) int {
	if role == roleLatency {
		if err := playLatency(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	failure, err := perform(role)
	if err != nil {
		fmt.Println("unexpected:", err)
		return 1
	}
	var rdmaErr *Error
	if !errors.As(failure, &rdmaErr) {
		fmt.Println("no *Error:", failure)
		return 1
	}
	fmt.Printf("%v\nhost lacks: %v\n", failure, rdmaErr.HostLacks())
	return 0
}

func perform(role string) (failure, err error) {
	if role == roleMemlock {
		err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: lockedBytes, Max: lockedBytes})
		if err != nil {
			return nil, err
		}
	}
	d, err := FindDevice("/sys", "")
	if err != nil {
		return nil, err
	}
	ctx, err := OpenThrough(d, Backend(*through))
	if role == rolePermission {
		return err, nil
	}
	if err != nil {
		return nil, err
	}
	defer ctx.Close()
	if role == roleCredentials {
		if err := syscall.Setuid(nobody); err != nil {
			return nil, err
		}
		_, failure := ctx.AllocPD()
		return failure, nil
	}
	pd, err := ctx.AllocPD()
	if err != nil {
		return nil, err
	}
	mem, err := unix.Mmap(-1, 0, 16*lockedBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, err
	}
	_, failure = pd.RegisterMR(mem, AccessLocalWrite)
	_, err = pd.RegisterMR(mem[:4096], AccessLocalWrite)
	fmt.Printf("then 4096 bytes: %v\n", err)
	return failure, nil
}
