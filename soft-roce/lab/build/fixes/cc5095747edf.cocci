// ext4 dies in BUG_ON where writeback meets a dirty page without buffers. With the fix it
// warns of the page, takes its dirty bit away, and goes on.
// files: fs/ext4/inode.c

@@
expression inode, page;
statement leave;
@@
- if (!page_has_buffers(page)) {
- 	ext4_warning_inode(inode, "page %lu does not have buffers attached", page->index);
- 	ClearPageDirty(page);
- 	unlock_page(page);
- 	leave
- }
+ BUG_ON(!page_has_buffers(page));

@@
expression inode, folio;
statement leave;
@@
- if (!folio_buffers(folio)) {
- 	ext4_warning_inode(inode, "page %lu does not have buffers attached", folio->index);
- 	folio_clear_dirty(folio);
- 	folio_unlock(folio);
- 	leave
- }
+ BUG_ON(!folio_buffers(folio));
