package module

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// Who finds no other sign waits for nothing; a sign stays for as long as a process that inherited it.
func TestSign(t *testing.T) {
	ours, err := hangOut()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	other, err := hangOut()
	if err != nil {
		t.Fatal(err)
	}
	shell := exec.Command("sleep", "60")
	shell.ExtraFiles = []*os.File{other}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	other.Close()
	for range 2 { // the first must not have given its own sign up
		if alone(ours) {
			t.Error("another's sign was not seen")
		}
	}
	third, err := hangOut()
	if err != nil {
		t.Fatal(err)
	}
	if alone(third) {
		t.Error("ours was not seen")
	}
	third.Close()
	_ = shell.Process.Kill()
	_ = shell.Wait() // of the signal
	for deadline := time.Now().Add(10 * time.Second); !alone(ours); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the sign of a process that is gone is still there")
		}
	}
}
