package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"umemstress/soft-roce/link"
)

func newSoftRoceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "soft-roce",
		Short: "Make, show and remove soft-RoCE links: RDMA devices without RDMA hardware",
	}
	cmd.AddCommand(newSoftRoceUpCommand(), newSoftRoceDownCommand(), newSoftRoceStatusCommand())
	return cmd
}

func newSoftRoceUpCommand() *cobra.Command {
	var config link.Config
	cmd := &cobra.Command{
		Use:   "up [flags]",
		Short: "Make a link over a netdev, or over a veth pair of its own",
		Long: `Make a soft-RoCE link and wait until its port is ACTIVE.

Without --netdev it goes over a new veth pair (ums0 and ums1), for traffic within
this host. With --netdev the netdev is brought up and stays up. A link that is there
already is shown, and brought up if it is down.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := link.Up(cmd.Context(), config)
			if err != nil {
				return err
			}
			return printLinks(cmd.OutOrStdout(), []link.Link{l})
		},
	}
	cmd.Flags().StringVar(&config.Name, "name", link.DefaultName, "`NAME` of the link")
	cmd.Flags().StringVar(&config.NetDev, "netdev", "", "network device `DEV` to put the link over (default: a veth pair of its own)")
	return cmd
}

func newSoftRoceDownCommand() *cobra.Command {
	var config link.Config
	cmd := &cobra.Command{
		Use:   "down [flags]",
		Short: "Remove the links that up made over its own veth pairs, or one by name",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			removed, err := link.Down(config)
			for _, r := range removed {
				fmt.Fprintf(cmd.OutOrStdout(), "removed %s\n", r)
			}
			if err == nil && len(removed) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "nothing to remove")
			}
			return err
		},
	}
	cmd.Flags().StringVar(&config.Name, "name", "", "remove this link alone, whoever made it (`NAME`)")
	return cmd
}

func newSoftRoceStatusCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "status [flags]",
		Short: "Show the soft-RoCE links with their netdevs, states and GIDs",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			links, err := link.List()
			if err != nil {
				return err
			}
			if format == "json" {
				return printJSON(cmd.OutOrStdout(), map[string]any{"links": links})
			}
			if len(links) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "no soft-RoCE link; make one: umemstress soft-roce up")
				return nil
			}
			return printLinks(cmd.OutOrStdout(), links)
		},
	}
	addFormatFlag(cmd.Flags(), &format)
	return cmd
}

func printLinks(w io.Writer, links []link.Link) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, l := range links {
		netdev := l.NetDev
		if l.Own {
			netdev += " (own veth pair)"
		}
		fmt.Fprintf(t, "%s\t%v\tover %s\n", l.Name, l.State, netdev)
		for _, g := range l.GIDs {
			fmt.Fprintf(t, "\tGID %d\t%v, %s\n", g.Index, g.Addr, g.Type)
		}
	}
	return t.Flush()
}
