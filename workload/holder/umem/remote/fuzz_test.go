package remote

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"unicode"

	"umemstress/workload/holder"
	"umemstress/workload/holder/umem/end"
	"umemstress/workload/internal/memory"
	"umemstress/workload/payload"
)

// unheard is where requests go to a peer that says what it will, whatever is asked.
type unheard struct{ io.Writer }

func (unheard) Close() error { return nil }

// Whatever a peer answers, a run takes it for what it can be, or ends with an error that a person
// can read: nothing is counted that cannot have been done.
func FuzzAnswers(f *testing.F) {
	const hello = `{"umemstress_peer":1,"version":"v1","host":"node2"}` + "\n"
	const opened = `{"device":{"name":"mlx5_0"},"place":{"addresses":[{"qpn":17}],"mtu":1024}}` + "\n"
	const registered = "{}\n" + `{"region":{"piece_bytes":4096,"pieces":[{"addr":1,"rkey":2}]}}` + "\n{}\n"
	for _, seed := range []string{
		"", "{}\n", "null\n", "[]\n", "Welcome to node2!\n", `{"umemstress_peer":-1}` + "\n",
		`{"umemstress_peer":99,"version":"\u001b[2J","host":"\u202enode2"}` + "\n",
		hello, hello + "oops\n", hello + `{"error":{"text":"` + strings.Repeat("x", maxShown+1) + `","refused":true}}` + "\n",
		hello + `{"error":{}}` + "\n" + `{"error":{"text":"\u001b]0;x\u0007\nfatal","lacks":true}}` + "\n",
		hello + opened + registered + `{"done":{"messages":3,"bytes":12288,"to":12288}}` + "\n{}\n",
		hello + opened + registered + `{"done":{"messages":-1,"bytes":18446744073709551615,"to":-1},"error":{"text":"no"}}` + "\n",
		hello + opened + registered + `{"done":{"messages":1,"bytes":18446744073709551615,"to":9223372036854775807}}` + "\n",
		hello + opened + "{}\n{}\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		p := &End{line: line{asks: unheard{io.Discard}, answers: newLines(bytes.NewReader(said))}}
		readable := func(err error) bool {
			t.Helper()
			if err != nil && (len(err.Error()) > 16*maxShown || strings.ContainsFunc(err.Error(), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) })) {
				t.Errorf("an error of %d bytes: %.200q", len(err.Error()), err)
			}
			return err == nil
		}
		if !readable(p.line.greet(t.Context())) {
			return
		}
		_, err := p.line.ask(t.Context(), request{Open: &openRequest{}})
		readable(err)
		readable(p.Connect(t.Context(), end.Place{}))
		theirs, err := p.Register(t.Context(), &memory.Region{Length: 3 * 4096}, 3)
		readable(err)
		readable(p.Begin(t.Context(), theirs, holder.Pass{}))
		order := end.Order{To: 0, Messages: 3}
		done, err := p.Send(t.Context(), order)
		if ok := readable(err); done.Messages < 0 || done.Messages > order.Messages || done.To < order.To || done.Bytes != uint64(done.To-order.To) || ok && done.Messages == 0 {
			t.Errorf("%+v done of %+v: %v", done, order, err)
		}
		readable(p.Fill(t.Context(), &memory.Region{Bytes: []byte("x")}, payload.Recipe{Seed: 1}))
		readable(p.Await(t.Context()))
		readable(p.Deregister(t.Context(), 1))
		readable(p.Close())
	})
}
