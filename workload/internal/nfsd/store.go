package nfsd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/module"
)

// Modules are those of the kernel's NFS client.
func Modules() module.Set {
	return module.Set{
		Top: "nfsv3", Unload: []string{"nfsv3", "nfs", "lockd", "nfs_acl", "nfs_ssc", "grace", "fscache", "netfs", "auth_rpcgss", "dns_resolver", "sunrpc"},
		Busy: "nfs", Options: "CONFIG_NFS_V3 and CONFIG_NFS_FS",
	}
}

// StoreChild is the name of the child that StoreMain is.
const StoreChild = "nfs-server"

// Store is a mount of a file that can be written to, and that another process serves: who touches
// a mapping of it waits for the server in a way that the Go runtime knows nothing of, so that a
// server in this process might never come to answer.
type Store struct {
	File *os.File

	modules *module.Loaded
	root    *os.File
	server  *server
}

// Mount serves and mounts the file behind backing.
func Mount(ctx context.Context, backing *os.File) (_ *Store, err error) {
	s := &Store{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.modules, err = module.Load(ctx, Modules()); err != nil {
		return nil, err
	}
	l, err := listen(ctx)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	if s.server, err = startServer(l, backing); err != nil {
		return nil, err
	}
	s.root, s.File, err = mountFrom(l, unix.O_RDWR)
	return s, err
}

// Close unmounts the file, which nobody is to have open any more, and ends the server.
func (s *Store) Close() error {
	if s == nil {
		return nil
	}
	var errs []error
	for _, f := range []*os.File{s.File, s.root} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	errs = append(errs, s.server.Close(), s.modules.Close())
	*s = Store{}
	return errors.Join(errs...)
}

// StoreMain serves the file until its input tells that it was unmounted, or ends and no client is left.
func StoreMain(args []string, in io.Reader, _ io.Writer) error {
	if len(args) != 0 {
		return fmt.Errorf("%s takes no arguments, not %d", StoreChild, len(args))
	}
	signal.Ignore(unix.SIGTERM, unix.SIGHUP, unix.SIGINT)
	l, err := inherited(storeSocket)
	if err != nil {
		return err
	}
	s := serve(l, stored{os.NewFile(storeBacking, "backing")}, 1)
	told, err := io.ReadAll(in)
	if string(told) != unmounted { // of a killed process
		s.listener.outlast()
	}
	return errors.Join(err, s.Close())
}
