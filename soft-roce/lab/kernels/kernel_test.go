package kernels

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"umemstress/soft-roce/lab/internal/labtest"
)

func TestCustomKernelChecksItsFiles(t *testing.T) {
	dir := t.TempDir()
	image := filepath.Join(dir, "bzImage")
	modules := filepath.Join(dir, "lib/modules/6.9.0-mine")
	labtest.WriteFile(t, image, "")
	if err := os.MkdirAll(modules, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Custom(image, modules); err == nil || !strings.Contains(err.Error(), "depmod -b "+dir+" 6.9.0-mine") {
		t.Errorf("without modules.dep: %v", err)
	}
	labtest.WriteFile(t, filepath.Join(modules, "modules.dep"), "")
	if k, err := Custom(image, modules); err != nil || k.Release != "6.9.0-mine" || k.Image != image {
		t.Errorf("Custom = %+v, %v", k, err)
	}
	if _, err := Custom(image, dir); err == nil {
		t.Error("a directory that is not lib/modules/RELEASE was taken")
	}
	if _, err := Custom(filepath.Join(dir, "none"), modules); err == nil {
		t.Error("an image that is not there was taken")
	}
}
