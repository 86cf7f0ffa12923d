/* What a folio tells of itself, read with helpers or, where the verifier knows it for
 * one, directly. */
#ifndef UMEMSTRESS_FOLIO_H
#define UMEMSTRESS_FOLIO_H

#define FOLIO_FLAGS(read, folio)                                                         \
	(bpf_core_field_exists(((struct folio___memdesc *)0)->flags.f)                   \
		 ? read((struct folio___memdesc *)(folio), flags.f)                      \
		 : read(folio, flags))

#define FOLIO_PAGES(read, folio, flags)                                                  \
	(!PAGE_FLAG(flags, PG_head) ? 1                                                  \
	 : bpf_core_field_exists(((struct folio___renamed *)0)->_nr_pages)               \
		 ? read((struct folio___renamed *)(folio), _nr_pages)                    \
		 : read(folio, _folio_nr_pages))

#define DIRECT(folio, field) ((folio)->field)

#endif
