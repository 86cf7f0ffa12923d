package guest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/internal/proto"
)

// pmemUp loads the drivers of what the kernel's command line declares to be persistent memory, and
// waits for its device. It comes after the switch of the root, where modprobe and the modules are.
func pmemUp() error {
	const lacks = "it takes a kernel with CONFIG_X86_PMEM_LEGACY and CONFIG_BLK_DEV_PMEM"
	if _, err := host.Modprobe.Run(context.Background(), "-a", "nd_e820", "nd_pmem"); err != nil {
		return fmt.Errorf("%w; %s", err, lacks)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(proto.PmemDevice); err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.New(proto.PmemDevice + " did not appear; " + lacks)
		}
	}
}
