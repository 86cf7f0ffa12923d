// Package bytesize reads and writes sizes as people give them.
package bytesize

import (
	"fmt"
	"math"
	"strconv"
)

// Parse reads a size such as 4096, 64K, 64M or 1G; the units are powers of
// 1024.
func Parse(text string) (int64, error) {
	digits, shift := text, 0
	if n := len(text); n > 0 {
		switch text[n-1] {
		case 'K', 'k':
			shift = 10
		case 'M', 'm':
			shift = 20
		case 'G', 'g':
			shift = 30
		}
		if shift > 0 {
			digits = text[:n-1]
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>shift {
		return 0, fmt.Errorf("%q: give a size such as 4096, 64K, 64M or 1G", text)
	}
	return n << shift, nil
}

// Format writes a size as Parse reads it, in the largest unit that
// divides it.
func Format(n int64) string {
	const units = "GMK"
	for i := range units {
		if shift := 30 - 10*i; n > 0 && n>>shift<<shift == n {
			return strconv.FormatInt(n>>shift, 10) + units[i:i+1]
		}
	}
	return strconv.FormatInt(n, 10)
}
