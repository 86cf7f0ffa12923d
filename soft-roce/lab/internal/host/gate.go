package host

import (
	"fmt"
	"io"
	"os"
	"os/exec"
)

// gate is where a process waits before it becomes the program that it was started for.
// The group of a process is known when it runs, and what it started until its janitor is told
// of the group would be nobody's to kill.
type gate struct{ inside, outside *os.File }

// hold has the command, which is not started yet, wait for the gate: as a shell with the
// process's number, which reads a line from the command's last descriptor. A gate that is closed
// without having been opened, by the end of this process for one, ends it.
func hold(cmd *exec.Cmd) (*gate, error) {
	const shell = "/bin/sh" // as the janitor's, whatever PATH leads to
	inside, outside, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe to %s: %w", cmd.Path, err)
	}
	fd := 3 + len(cmd.ExtraFiles)
	script := fmt.Sprintf(`read -r go <&%d && exec %[1]d<&- && exec "$0" "$@"`, fd)
	cmd.ExtraFiles = append(cmd.ExtraFiles, inside)
	cmd.Args = append([]string{shell, "-c", script, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = shell
	return &gate{inside, outside}, nil
}

// open lets the process go on. One that has been killed is not waited for.
func (g *gate) open() error {
	_, err := io.WriteString(g.outside, "go\n")
	return err
}

// close gives the pipe back; it may be called again.
func (g *gate) close() {
	g.inside.Close()
	g.outside.Close()
}
