package lab

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/sirupsen/logrus"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/kernels"
	"umemstress/soft-roce/lab/machine"
)

// Accelerator decides for this host what runs a guest's code, with a guest of the
// kernel as the trial. What it comes to is told to log; nil: logrus's own logger.
func Accelerator(ctx context.Context, k kernels.Kernel, log logrus.FieldLogger) (machine.Accel, error) {
	cache, err := kernels.CacheDir()
	if err != nil {
		return "", err
	}
	where := machine.AccelHost{
		Proc: "/proc", KVM: machine.KVMDevice, Remember: filepath.Join(cache, "kvm-trial.json"),
		Stock: k.IsStock(),
	}
	got, err := where.Choose(ctx, func(ctx context.Context) error {
		result, err := Run(ctx, Config{
			Kernel:   k,
			Program:  []string{"true"},
			Dir:      "/",
			NoDevice: true,
			Accel:    machine.KVM,
			Log:      log,
		})
		if err == nil && result.ExitCode != 0 {
			err = errors.New("'true' failed in it")
		}
		return err
	})
	if err != nil {
		return "", err
	}
	what := "software emulation"
	if got.Accel == machine.KVM {
		what = "KVM"
	}
	host.Log(log).Infof("lab: kernel %s runs under %s: %s", k.Release, what, got.Reason)
	return got.Accel, nil
}
