package workload

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"umemstress/workload/holder"
	"umemstress/workload/holder/fuse"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/worktest"
)

// Where nobody says how much is to be held, it is what the holder takes, and the log says so; what somebody
// says is refused.
func TestOpenWhatFits(t *testing.T) {
	const most, fits = 23<<20 + 5<<12, 23 << 20
	for _, fit := range []bool{true, false} {
		var log bytes.Buffer
		r, _ := begun(t)
		logger := logrus.New()
		logger.SetOutput(&log)
		r.options.Log, r.options.FileBytes, r.options.FitFile = logger, 64<<20, fit
		var asked []int64
		err := r.openHolder(t.Context(), holderKind{Holder: fuse.Facts(), open: func(_ context.Context, o Options) (holder.Holder, error) {
			asked = append(asked, o.FileBytes)
			if o.FileBytes > most {
				return nil, fault.TooMuch(most, fault.Usagef("--file-size %d: give at most 23 MiB", o.FileBytes))
			}
			return nil, nil
		}})
		if !fit {
			worktest.WantUsage(t, err, "--file-size 67108864: give at most 23 MiB")
			if len(asked) != 1 || log.Len() > 0 {
				t.Errorf("asked for %d; %s", asked, &log)
			}
			continue
		}
		if err != nil || len(asked) != 2 || asked[1] != fits || r.options.FileBytes != fits || !strings.Contains(log.String(), "takes at most 23 MiB here") {
			t.Errorf("%v; asked for %d, and the file's region has %d; %s", err, asked, r.options.FileBytes, &log)
		}
	}
}
