package lateshare

import "testing"

// A read is in flight once its first part has arrived, and none counts twice.
func TestBegun(t *testing.T) {
	for _, c := range []struct{ at, size, want int64 }{
		{0, 4096, 4096}, {0, 3 * ReadBytes, ReadBytes}, {4096, 3 * ReadBytes, 0}, {ReadBytes, ReadBytes + 4096, 4096}, {2 * ReadBytes, 2 * ReadBytes, 0},
	} {
		if got := begun(c.at, c.size); got != c.want {
			t.Errorf("at %d of %d: %d, want %d", c.at, c.size, got, c.want)
		}
	}
}
