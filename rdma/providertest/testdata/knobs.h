// What the provider is to do otherwise, as whoever tests sets it while it runs: a file of 32-bit numbers in the order of this
// list, named by $UMEMSTRESS_PROVIDER. 0 of each is as rdma_rxe's own provider does it. provider.go has the list again.
enum knob {
	KNOBS,	    // how many there are: written by the provider as it is loaded
	OPENED,	    // how often a device was opened: written, as the next two are
	TAKEN,	    // requests and receives that were taken
	SHORT,	    // posts that were cut short
	PORT,	    // the number of the only port
	KEYS,	    // local and remote keys are others, and the two of a region differ
	MORE,	    // grants a queue pair so many more requests, pieces and bytes inline than asked for
	JUNK,	    // what means nothing in a completion is not 0
	AT_ONCE,    // completions that a poll gives at most
	UNGUARDED,  // posts take requests in every state of a queue pair, and lose them, as mlx4's do
	TAKE,	    // requests that a post takes at most: more is ENOMEM, with the first that was not taken
	FULL,	    // so many posts take no more, though there is room, from when EVENT_AT says
	STRAY,	    // a post takes nothing, and the request that it blames is none of those it was given
	STATUS,	    // the next completion has the status before this
	VENDOR,	    // ... and this vendor's error
	EVENT,	    // tells of the asynchronous event of the type before this
	EVENT_AT,   // ... once so many requests and receives were taken
	EVENT_PORT, // ... of this port, if it is one of a port
	MAX_WR,	    // the device's limits, where they are less than rdma_rxe's
	MAX_SGE,
	MAX_CQE,
	MAX_MR_KIB,
	NO_INLINE, // it has none of these
	NO_ATOMICS,
	NO_SRQ,
	SILENT,	   // does not say why it makes nothing
	LIMITLESS, // says that a queue pair has room for 2^32 - 1 requests
	REREG,	   // re-registers regions, with new keys, where rdma_rxe's own does not
	REREGISTERED, // how many it has: written
	LAST,
};
