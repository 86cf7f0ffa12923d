package main

import "github.com/spf13/cobra"

// The states of an item.
const (
	stateOK      = "ok"
	stateMissing = "missing" // something cannot be done without it
	stateWarning = "warning" // it can be done, but worse, or with a danger
)

// item is one fact about the host. What is not ok says what that costs and how
// to get it.
type item struct {
	Name   string `json:"name"`
	State  string `json:"state"`
	Detail string `json:"detail"`
	Costs  string `json:"costs,omitempty"`
	Remedy string `json:"remedy,omitempty"`
}

// checkKernel is the kernel that runs. Nothing is concluded from its version.
type checkKernel struct {
	Release string `json:"release"`
	Version string `json:"version"`
}

// abilities say what the host allows as it is now. A run where the kernel might
// panic is possible, but wants --allow-crash.
type abilities struct {
	Run     bool `json:"run"`
	Observe bool `json:"observe"`
	Lab     bool `json:"lab"`
}

// status is the exit code: only a host on which nothing can be done lacks
// something.
func (a abilities) status() error {
	if a.Run || a.Observe || a.Lab {
		return nil
	}
	return statusError(exitHostLacks)
}

type checkDocument struct {
	Schema string      `json:"schema"`
	Kernel checkKernel `json:"kernel"`
	Items  []item      `json:"items"`
	Can    abilities   `json:"can"`
}

func newCheckCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say what this host allows: devices, privileges, probes, file systems, the lab",
		Long: `Looks at this host and says what can be done on it, what is missing, what that
costs and how to get it. It changes nothing and needs no privilege. It does not say
whether data is lost on this kernel: only a run can tell.

Exit codes: 0 something can be done here (a run, observation by probes, or the lab),
2 usage, 3 none of them.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			h, err := thisHost()
			if err != nil {
				return err
			}
			document := h.check()
			if format == "json" {
				err = printJSON(cmd.OutOrStdout(), document)
			} else {
				err = printCheck(cmd.OutOrStdout(), document)
			}
			if err != nil {
				return err
			}
			return document.Can.status()
		},
	}
	addFormatFlag(cmd.Flags(), &format)
	return cmd
}

// check gathers everything. An ability is there if no item that it stands on is
// missing.
func (h *host) check() checkDocument {
	mounts, mountsErr := h.mounts()
	device, deviceFound := h.deviceItems()
	limit := h.lockItem()
	scratch := h.scratchItem(mounts)
	features, featuresSuffice := h.featureItems()
	hooks := h.hookItem()
	tools := h.labItems()

	var items []item
	items = append(items, device...)
	items = append(items, h.privilegeItem(), limit, scratch, h.kmsgItem())
	items = append(items, h.panicItems()...)
	items = append(items, h.filesystemItems(mounts, mountsErr)...)
	items = append(items, features...)
	items = append(items, hooks)
	items = append(items, tools...)
	items = append(items, h.kernelSourceItem(), h.kvmItem())
	return checkDocument{
		Schema: "umemstress.check/v1",
		Kernel: h.kernel,
		Items:  items,
		Can: abilities{
			Run:     deviceFound && nothingMissing(limit, scratch),
			Observe: featuresSuffice && nothingMissing(hooks),
			Lab:     nothingMissing(tools...),
		},
	}
}

func nothingMissing(items ...item) bool {
	for _, i := range items {
		if i.State == stateMissing {
			return false
		}
	}
	return true
}
