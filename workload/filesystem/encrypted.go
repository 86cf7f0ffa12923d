package filesystem

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
)

// encryptedDirectory makes a directory on a mounted file system whose files fscrypt encrypts, each
// page by itself, and opens it. The kernel has the key, which nobody keeps, for as long as the file
// system is mounted (Linux 5.4).
func encryptedDirectory(root *os.File) (_ *os.File, err error) {
	const name = "encrypted"
	if err := unix.Mkdirat(int(root.Fd()), name, 0o700); err != nil {
		return nil, fmt.Errorf("make a directory on the scratch: %w", err)
	}
	fd, err := unix.Openat(int(root.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a directory on the scratch: %w", err)
	}
	dir := os.NewFile(uintptr(fd), name)
	if err := encrypt(dir); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

// encrypt has the files of an empty directory be encrypted, by the ciphers that any kernel with
// fscrypt has: AES-256-XTS for what is in them, and AES-256-CBC-CTS for their names.
func encrypt(dir *os.File) error {
	key := addKey{FscryptAddKeyArg: unix.FscryptAddKeyArg{Key_spec: unix.FscryptKeySpecifier{Type: unix.FSCRYPT_KEY_SPEC_TYPE_IDENTIFIER}}}
	key.Raw_size = uint32(len(key.Raw))
	rand.Read(key.Raw[:]) // never fails
	if err := key.call(dir); err != nil {
		return lacksEncryption("FS_IOC_ADD_ENCRYPTION_KEY", err)
	}
	policy := setPolicy{
		Version: unix.FSCRYPT_POLICY_V2, Flags: unix.FSCRYPT_POLICY_FLAGS_PAD_32,
		Contents_encryption_mode: unix.FSCRYPT_MODE_AES_256_XTS, Filenames_encryption_mode: unix.FSCRYPT_MODE_AES_256_CTS,
	}
	copy(policy.Master_key_identifier[:], key.Key_spec.U[:]) // which the kernel tells
	if err := policy.call(dir); err != nil {
		return lacksEncryption("FS_IOC_SET_ENCRYPTION_POLICY", err)
	}
	return nil
}

// lacksEncryption says what the kernel lacks that does not do so.
func lacksEncryption(request string, err error) error {
	for _, errno := range []error{unix.ENOTTY, unix.EOPNOTSUPP, unix.ENOPKG} {
		if errors.Is(err, errno) {
			return fault.Lacksf("encrypt a directory of the scratch: %s: %w; it takes Linux 5.4 or newer with CONFIG_FS_ENCRYPTION, CONFIG_CRYPTO_XTS and CONFIG_CRYPTO_CTS, or give --fs ext4", request, err)
		}
	}
	return fmt.Errorf("encrypt a directory of the scratch: %s: %w", request, err)
}
