package link

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// loadModule makes sure that a kernel module is there, loaded or built in.
func loadModule(ctx context.Context, name string) error {
	if _, err := os.Stat(filepath.Join(sysfs, "module", name)); err == nil {
		return nil
	}
	out, err := exec.CommandContext(ctx, "modprobe", name).CombinedOutput()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case os.Geteuid() != 0:
		return unix.EPERM
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("%w (apt-get install kmod)", err)
	}
	return errors.New(strings.TrimSpace(string(out)))
}
