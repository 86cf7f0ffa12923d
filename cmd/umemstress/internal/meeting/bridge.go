package meeting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// dialBound is how long a connection may take to come about.
const dialBound = 20 * time.Second

// Bridge connects to where a file says, with the token, and has what comes on in go there, and what comes from there
// to out, until the other side has no more to say. To hang up is this side's: it does so at the end of in.
func Bridge(ctx context.Context, file string, in io.Reader, out io.Writer) error {
	conn, err := dial(ctx, file)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	var over atomic.Bool // nothing more is asked
	go func() {
		_, err := io.Copy(conn, in)
		over.Store(err == nil)
		_ = conn.CloseWrite()
	}()
	n, err := io.Copy(out, conn)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case over.Load():
		return err
	case err != nil:
		return fmt.Errorf("the other rank, at %s, is gone: %w", conn.RemoteAddr(), err)
	case n == 0:
		return fmt.Errorf("what listens at %s hung up without a word: is %s of an earlier job?", conn.RemoteAddr(), file)
	}
	return fmt.Errorf("the other rank, at %s, hung up amid the run", conn.RemoteAddr())
}

func dial(ctx context.Context, file string) (*net.TCPConn, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("where the other rank is: %w", err)
	}
	var p place
	if err := json.Unmarshal(text, &p); err != nil || len(p.Token) != 2*tokenBytes {
		return nil, fmt.Errorf("%s does not say where the other rank is", file)
	}
	dialer := net.Dialer{Timeout: dialBound, KeepAliveConfig: keepAlive}
	conn, err := dialer.DialContext(ctx, "tcp", p.Address)
	if err != nil {
		return nil, fmt.Errorf("connect to the other rank: %w; its --address has to be one that this host reaches", err)
	}
	if _, err := conn.Write([]byte(p.Token)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn.(*net.TCPConn), nil
}
