package lab

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/sirupsen/logrus"
)

// Accelerator decides for this host what runs a guest's code, with a guest of the
// kernel as the trial.
func Accelerator(ctx context.Context, k Kernel) (Accel, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	host := accelHost{proc: "/proc", kvm: "/dev/kvm", remember: filepath.Join(cache, "kvm-trial.json")}
	got, err := host.choose(ctx, func(ctx context.Context) error {
		result, err := Run(ctx, Config{
			Kernel:   k,
			Program:  []string{"true"},
			Dir:      "/",
			NoDevice: true,
			Accel:    KVM,
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
	if got.Accel == KVM {
		what = "KVM"
	}
	logrus.Infof("lab: kernel %s runs under %s: %s", k.Release, what, got.Reason)
	return got.Accel, nil
}
