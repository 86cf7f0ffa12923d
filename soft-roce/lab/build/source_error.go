package build

import (
	"context"
	"errors"
)

// SourceError says that it is the source of which no kernel can be made, with the changes that
// were asked for: of another one it may be.
type SourceError struct{ Err error }

func (e *SourceError) Error() string { return e.Err.Error() }
func (e *SourceError) Unwrap() error { return e.Err }

// ofSource tells what the source is to blame for from what any source would meet.
func ofSource(ctx context.Context, err error) error {
	var lacks interface{ HostLacks() bool }
	if ctx.Err() != nil || errors.As(err, &lacks) && lacks.HostLacks() {
		return err
	}
	return &SourceError{err}
}
