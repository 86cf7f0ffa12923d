// Package guest is what happens inside of the lab's guest: the init that mounts the
// host's tree, brings up soft-RoCE, runs the program and tells the host of its end.
//
// Every stage that waits for something runs beside the others, and its modules are
// uncompressed and in the order to load them in: under software emulation each
// program that is not started, and each page that is not fetched over 9p, is time.
package guest
