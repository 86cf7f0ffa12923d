package fault

import "errors"

// tooMuchError is of a size of which less can be had.
type tooMuchError struct {
	error
	most int64
}

func (e tooMuchError) Unwrap() error { return e.error }

// TooMuch marks the error as one of a size, in bytes, that is more than the most that can be had.
func TooMuch(most int64, err error) error { return tooMuchError{err, most} }

// Most is how many bytes can be had in place of a size that was refused with err, if that is why it was.
func Most(err error) (bytes int64, refused bool) {
	var t tooMuchError
	if !errors.As(err, &t) {
		return 0, false
	}
	return t.most, true
}
