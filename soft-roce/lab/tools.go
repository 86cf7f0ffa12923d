package lab

import "umemstress/soft-roce/lab/internal/host"

// Tool is a program of the host that the lab calls.
type Tool = host.Tool

// Tools are those without which no guest starts.
func Tools() []Tool { return []Tool{host.QEMU, host.Modprobe, host.Mke2fs} }
