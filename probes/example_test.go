package probes_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/sirupsen/logrus"

	"umemstress/probes"
	"umemstress/probes/event"
)

// Watch what the releases of RDMA regions dirty, until the context is done. It needs
// privilege and a kernel with BPF, so it is compiled and not run.
func ExampleAttach() {
	session, err := probes.Attach(probes.Options{Holders: []string{event.HolderUmem}})
	var lacks *probes.LacksError
	if errors.As(err, &lacks) {
		log.Fatalf("not on this host: %v", lacks) // says how to get what is missing
	}
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()

	ctx := context.Background()
	err = session.Events(ctx, func(e event.Event) {
		if err := session.Symbolise(&e); err != nil {
			logrus.Print(err)
		}
		fmt.Printf("%s dirtied %d pages of inode %d (%s) that were not announced: %v\n",
			e.Comm, e.Pages, e.Inode.Number, e.Filesystem, e.Stack)
	})
	if err != nil {
		log.Fatal(err)
	}

	// Counts are exact where nothing was lost, also where events were.
	counts, err := session.Counts()
	if err != nil {
		log.Fatal(err)
	}
	lost, err := session.Lost()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%+v, lost %+v\n", counts, lost)
}
