// Package build makes a kernel for the lab from source: from the tree of a directory or
// Debian's source package, with fixes taken out, patches and semantic patches applied, and a
// configuration so small that it is compiled in minutes.
//
// All that is made on the way is kept in the cache, so that the next build of the same source
// compiles only what differs. The source itself is left alone: a copy of it is built, out of
// its tree.
//
//	<cache>/build/<source>/source/   Debian's source package, unpacked (package.json: which)
//	<cache>/build/<source>/tree/     the source as it is built, with the changes
//	<cache>/build/<source>/out/      what the kernel's own build makes
//	<cache>/build/<source>/log       what that build says
package build
