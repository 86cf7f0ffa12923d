package lab

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"umemstress/soft-roce/lab/internal/proto"
	"umemstress/soft-roce/lab/machine"
)

// A guest whose control port speaks nonsense is a failure of the lab at once, and not
// when its time is up. One whose port is closed is explained by other means.
func TestFollow(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for name, tt := range map[string]struct {
		said, fails string
		code        int
		exited      bool
	}{
		"program ended":    {said: `{"Kind":"ready"}` + "\n" + `{"Kind":"exited","Code":12}` + "\n", code: 12, exited: true},
		"init failed":      {said: `{"Kind":"failed","Error":"no scratch disk"}` + "\n", fails: "set up the guest: no scratch disk"},
		"damaged":          {said: `{"Kind":"ready"}` + "\nready\n", fails: "follow the guest: control port: \"ready\""},
		"cut off":          {said: `{"Kind":"exi`},
		"nothing was said": {},
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.WriteString(tt.said); err != nil {
			t.Fatal(err)
		}
		w.Close()
		log, err := machine.NewSerialLog("", t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		h := &hostSide{
			cfg: &Config{}, control: r, events: proto.NewEventStream(r), serial: log,
			stdout: machine.NewSink(r, nil), stderr: machine.NewSink(r, nil),
		}
		var result Result
		exited, err := h.follow(&result, time.Now(), func(error) {})
		var failed *LabError
		if exited != tt.exited || result.ExitCode != tt.code || errors.As(err, &failed) != (tt.fails != "") ||
			err != nil && !strings.Contains(err.Error(), tt.fails) {
			t.Errorf("%s: %v, code %d, %v", name, exited, result.ExitCode, err)
		}
		h.close()
	}
}
