// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Pages of files made dirty, by who did it. Cgroup v1 charges buffered writes to the root when they reach the disk (block.bpf.c), for there the
 * kernel keeps no link from a dirty page to a blkio cgroup; so this is what shows whose they are.
 *
 * The owner is the cgroup of the task that made the page dirty, not the page's memory cgroup: the latter is whoever touched the page first, be
 * it a reader, and may be long gone. It is also how the kernel's own account per task goes (write_bytes of /proc/PID/io): the hook stands beside
 * it in folio_account_dirtied(), so both count the same pages. Dirtying a dirty page again counts nothing.
 */
#include "slot.bpf.h"

/* In the hierarchy of block I/O, so that a row stands beside the requests of the same owner and device. */
static __always_inline struct cgroup *dirtier(void)
{
	struct css_set *cset = bpf_get_current_task_btf()->cgroups;

	if (!cfg.block_hierarchy)
		return cset->dfl_cgrp;
	return subsys_cgroup(false, cset, bpf_core_enum_value(enum cgroup_subsys_id, io_cgrp_id));
}

/* The disk below the file; the device itself for /dev/x; the file system's own number when no single disk is below it. */
static __always_inline __u32 mapping_dev(struct address_space *mapping)
{
	struct inode *inode = mapping->host;
	struct block_device *bdev;

	if (!inode)
		return 0;
	if (inode->i_rdev)
		return inode->i_rdev;
	bdev = inode->i_sb->s_bdev;
	return bdev ? disk_dev(false, bdev->bd_disk) : inode->i_sb->s_dev;
}

static __always_inline int dirty(struct address_space *mapping, __u64 nr_pages)
{
	struct cgm_block_key key = { .op = CGM_BLOCK_WRITE };
	struct cgm_block *row;
	struct cgroup *cg;

	if (!mapping) /* for the verifier: the hook's only caller has one */
		return 0;
	cg = dirtier();
	key.dev = mapping_dev(mapping);
	key.slot = slot_of_cgroup(false, cg, cg->kn->id, cfg.block_hierarchy);
	row = block_row(&key);
	if (row)
		add_atomic(&row->dirtied_pages, nr_pages);
	return 0;
}

/* A kernel whose large folios have neither field (before 6.1, or 32 bits) refuses the program: better off than wrong. */
static __always_inline __u64 folio_pages(struct folio *folio)
{
	struct folio___memdesc *memdesc = (struct folio___memdesc *)folio;
	unsigned long flags = bpf_core_field_exists(memdesc->flags.f) ? memdesc->flags.f : folio->flags;

	if (!(flags >> bpf_core_enum_value(enum pageflags, PG_head) & 1))
		return 1;
	if (bpf_core_field_exists(folio->_nr_pages))
		return folio->_nr_pages;
	return ((struct folio___before_6_15 *)folio)->_folio_nr_pages;
}

SEC("?tp_btf/writeback_dirty_folio")
int BPF_PROG(cgm_dirty_folio, struct folio *folio, struct address_space *mapping)
{
	return dirty(mapping, folio_pages(folio));
}

/* Before 5.18 (203a31516616). */
SEC("?tp_btf/writeback_dirty_page")
int BPF_PROG(cgm_dirty_page, struct page *page, struct address_space *mapping)
{
	return dirty(mapping, 1);
}
