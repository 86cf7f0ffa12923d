// Long pins for writing to pages of files are granted. With the fix they are refused. The fast
// path goes on refusing them (a6e79df92e4a) and leaves them to the slow one, which decides.
// files: mm/gup.c

@@
expression anonymous, vma, flags;
@@
- if (!anonymous && !writable_file_mapping_allowed(vma, flags))
- 	return -EFAULT;
