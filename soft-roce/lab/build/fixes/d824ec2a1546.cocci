// Reclaim takes the buffers of pinned pages. With the fix it leaves pinned pages alone. Those
// that are anonymous and not in swap yet it let alone before, by a jump to another label.
// files: mm/vmscan.c

@@
expression page;
symbol activate_locked;
@@
- if (\(folio_maybe_dma_pinned(page)\|page_maybe_dma_pinned(page)\))
- 	goto activate_locked;
