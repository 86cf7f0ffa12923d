package lab_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"umemstress/soft-roce/lab"
	"umemstress/soft-roce/lab/guest"
	"umemstress/soft-roce/lab/kernels"
)

// A program of this host runs in a guest with a stock 5.10 kernel.
func ExampleRun() {
	guest.InitIfPID1() // first in main: the guest's init is this executable

	ctx := context.Background()
	store, err := kernels.DefaultStore()
	if err != nil {
		log.Fatal(err)
	}
	kernel, err := store.Find(ctx, "5.10") // fetched when it is first asked for
	if err != nil {
		log.Fatal(err)
	}
	result, err := lab.Run(ctx, lab.Config{
		Kernel:  kernel,
		Program: []string{"ibv_devinfo", "-d", "rxe0"},
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
	})
	var crash *lab.CrashError
	switch {
	case errors.As(err, &crash):
		fmt.Println("the guest's kernel died:", crash.Reason)
	case err != nil:
		log.Fatal(err)
	default:
		fmt.Println("exit code", result.ExitCode, "after", result.Boot)
	}
}
