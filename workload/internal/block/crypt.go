package block

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// NewCrypt makes a device-mapper device that encrypts what is written to it (dm-crypt), of the given
// size, in bytes, over the block device below, and returns it, open for reading and writing. Nobody
// keeps its key. It is removed with its last user, a file system mounted on it included, so that it
// is gone with this process, however that ends. Directory dir takes a device node for a moment where
// /dev has none.
func NewCrypt(ctx context.Context, below *os.File, size int64, dir string) (*os.File, error) {
	m, err := newMapped(ctx, table{
		target: "crypt", parameters: cryptParameters, below: below, bytes: size,
		what: "device that encrypts", instead: "give --fs ext4",
		takes: "dm-crypt, AES and XTS (CONFIG_DM_CRYPT, CONFIG_CRYPTO_AES, CONFIG_CRYPTO_XTS)",
	}, dir, os.O_RDWR)
	if err != nil {
		return nil, err
	}
	return m.Node, m.control.Close()
}

// cryptParameters are those of the target: LUKS2's cipher and a new key of its length, which sector
// the initialization vectors count from, and the device below, with the first sector there.
func cryptParameters(device uint64) string {
	key := make([]byte, 64)
	rand.Read(key) // never fails
	return fmt.Sprintf("aes-xts-plain64 %x 0 %d:%d 0", key, unix.Major(device), unix.Minor(device))
}
