// Package provoke answers one question: how is somebody else's program brought to the point
// where pages that it pins lose their data?
//
// It does from outside, at once, what memory pressure and the flusher do in time: it writes back
// the files that the program has mapped, and has reclaim take the pages from it. Pages that are
// pinned stay, and on kernels that have the bug they lose their buffers. The program's own next
// write through its pin then is what the file system does not hear of.
package provoke
