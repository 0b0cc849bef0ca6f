/* Relations and databases made, cut and dropped. Layouts: catalog/storage_xlog.h, commands/dbcommands_xlog.h. */
#include "base/system.h"
#include "base/log.h"
#include "pageserver/ingest_internal.h"

#define FORK_MAIN 0
#define FORK_FSM 1
#define FORK_VM 2
#define FORK_INIT 3
#define CUT_HEAP 1u
#define CUT_VM 2u
#define CUT_FSM 4u
#define RELMAP_BYTES 512u

static struct ps_key rel_key(uint32_t spc, uint32_t db, uint32_t rel, uint8_t fork)
{
	return (struct ps_key){.kind = PS_KIND_REL, .spc = spc, .db = db, .rel = rel, .fork = fork};
}

int ingest_drop_relation(struct ps_ingest *ing, uint32_t spc, uint32_t db, uint32_t rel,
			 struct tarn_error *err)
{
	for (uint8_t fork = FORK_MAIN; fork <= FORK_INIT; fork++) {
		struct ps_key k = rel_key(spc, db, rel, fork);
		uint32_t blocks;
		TRY(ingest_size(ing, &k, &blocks, err));
		if (blocks != SIZE_ABSENT)
			TRY(ingest_set_size(ing, &k, SIZE_ABSENT, err));
	}
	return 0;
}

/* Blocks from new_blocks on cease to exist, so that none shows old content should the fork grow again. */
static int cut_fork(struct ps_ingest *ing, struct ps_key k, uint32_t new_blocks,
		    struct tarn_error *err)
{
	uint32_t blocks;
	TRY(ingest_size(ing, &k, &blocks, err));
	if (blocks == SIZE_ABSENT || blocks <= new_blocks)
		return 0;
	for (k.block = new_blocks; k.block < blocks; k.block++)
		TRY(ingest_put(ing, &k, PS_VALUE_TOMBSTONE, NULL, 0, err));
	return ingest_set_size(ing, &k, new_blocks, err);
}

/* As visibilitymap_prepare_truncate: the last map page that stays loses the bits beyond. */
static int cut_vm(struct ps_ingest *ing, struct ps_key k, uint32_t heap_blocks,
		  struct tarn_error *err)
{
	uint32_t in_page = heap_blocks % VM_HEAP_BLOCKS_PER_PAGE,
		 page = heap_blocks / VM_HEAP_BLOCKS_PER_PAGE;
	uint32_t blocks;
	uint8_t op[4] = {PAGE_OP_VM_CUT};
	k.fork = FORK_VM;
	TRY(ingest_size(ing, &k, &blocks, err));
	if (blocks == SIZE_ABSENT)
		return 0;
	if (in_page == 0)
		return cut_fork(ing, k, page, err);
	if (blocks > page) {
		k.block = page;
		put_le16(op + 1, (uint16_t)(in_page / VM_HEAP_BLOCKS_PER_BYTE));
		op[3] = (uint8_t)(in_page % VM_HEAP_BLOCKS_PER_BYTE * 2);
		TRY(ingest_put(ing, &k, PS_VALUE_OP, op, sizeof op, err));
	}
	return cut_fork(ing, k, page + 1, err);
}

int ingest_smgr(struct ps_ingest *ing, struct tarn_error *err)
{
	struct tarn_reader r;
	uint8_t op = ing->rec.info & 0xF0;
	uint32_t cut_to = 0, blocks;
	tarn_reader_init(&r, ing->rec.main, ing->rec.main_len);
	if (op == 0x20)
		cut_to = tarn_reader_le32(&r);
	uint32_t spc = tarn_reader_le32(&r), db = tarn_reader_le32(&r), rel = tarn_reader_le32(&r);
	uint32_t last = tarn_reader_le32(&r); /* fork, or flags */
	if (r.failed || (op != 0x10 && op != 0x20) || (op == 0x10 && last > FORK_INIT))
		return ingest_corrupt(ing, "a storage record", err);
	if (op == 0x10) {
		struct ps_key k = rel_key(spc, db, rel, (uint8_t)last);
		TRY(ingest_size(ing, &k, &blocks, err));
		return blocks == SIZE_ABSENT ? ingest_set_size(ing, &k, 0, err) : 0;
	}
	struct ps_key k = rel_key(spc, db, rel, FORK_MAIN);
	if (last & CUT_HEAP)
		TRY(cut_fork(ing, k, cut_to, err));
	if (last & CUT_VM)
		TRY(cut_vm(ing, k, cut_to, err));
	k.fork = FORK_FSM;
	return last & CUT_FSM ? cut_fork(ing, k, 0, err)
			      : 0; /* only a hint; computes keep their own */
}

struct copy_arg {
	struct ps_ingest *ing;
	uint32_t to_spc, to_db;
	struct ps_key *rels; /* of the source */
	uint32_t *blocks;
	size_t count, cap;
};

static int note_rel(void *arg, const struct ps_key *key, const uint8_t *bytes, size_t len,
		    struct tarn_error *err)
{
	struct copy_arg *a = arg;
	if (len != 4)
		return ingest_corrupt(a->ing, "a stored relation size", err);
	if (a->count == a->cap) {
		a->cap = a->cap ? a->cap * 2 : 256;
		a->rels = tarn_realloc(a->rels, a->cap * sizeof a->rels[0]);
		a->blocks = tarn_realloc(a->blocks, a->cap * sizeof a->blocks[0]);
	}
	a->rels[a->count] = *key;
	a->blocks[a->count++] = get_le32(bytes);
	return 0;
}

static int copy_relation(struct copy_arg *a, struct ps_key from, uint32_t blocks,
			 struct tarn_error *err)
{
	uint8_t page[8192];
	struct ps_key to;
	from.kind = PS_KIND_REL;
	to = from;
	to.spc = a->to_spc;
	to.db = a->to_db;
	TRY(ingest_set_size(a->ing, &to, blocks, err));
	for (from.block = 0; from.block < blocks; from.block++) {
		bool absent = false;
		TRY(a->ing->reconstruct(a->ing->reconstruct_arg, a->ing->tl, &from, UINT64_MAX,
					page, &absent, err));
		to.block = from.block;
		if (!absent)
			TRY(ingest_put(a->ing, &to, PS_VALUE_IMAGE, page, sizeof page, err));
	}
	return 0;
}

static int relations_of(struct copy_arg *a, uint32_t spc, uint32_t db, struct tarn_error *err)
{
	struct ps_key from = {.kind = PS_KIND_RELSIZE, .spc = spc, .db = db}, to = from;
	to.db++;
	return ps_timeline_scan(a->ing->tl, &from, &to, UINT64_MAX, note_rel, a, err);
}

static int copy_database(struct ps_ingest *ing, struct tarn_error *err)
{
	struct copy_arg a = {.ing = ing};
	struct tarn_reader r;
	struct tarn_buf map = TARN_BUF_INIT;
	bool absent;
	tarn_reader_init(&r, ing->rec.main, ing->rec.main_len);
	a.to_db = tarn_reader_le32(&r);
	a.to_spc = tarn_reader_le32(&r);
	uint32_t from_db = tarn_reader_le32(&r), from_spc = tarn_reader_le32(&r);
	if (r.failed)
		return ingest_corrupt(ing, "the copy of a database", err);
	if (!ing->reconstruct)
		return tarn_fail(err, TARN_E_UNSUPPORTED,
				 "a database cannot be copied by files here");
	struct ps_key k = {.kind = PS_KIND_DATABASE, .spc = from_spc, .db = from_db};
	int rc = ps_timeline_get(ing->tl, &k, UINT64_MAX, &map, &absent, err);
	k.spc = a.to_spc;
	k.db = a.to_db;
	if (rc == 0 && !absent)
		rc = ingest_put(ing, &k, PS_VALUE_IMAGE, map.data, map.len, err);
	if (rc == 0)
		rc = relations_of(&a, from_spc, from_db, err);
	for (size_t i = 0; rc == 0 && i < a.count; i++)
		rc = copy_relation(&a, a.rels[i], a.blocks[i], err);
	tarn_buf_release(&map);
	free(a.rels);
	free(a.blocks);
	return rc;
}

static int drop_database(struct ps_ingest *ing, struct tarn_error *err)
{
	struct tarn_reader r;
	tarn_reader_init(&r, ing->rec.main, ing->rec.main_len);
	uint32_t db = tarn_reader_le32(&r), n = tarn_reader_le32(&r);
	for (uint32_t i = 0; i < n; i++) {
		struct copy_arg a = {.ing = ing};
		uint32_t spc = tarn_reader_le32(&r);
		struct ps_key k = {.kind = PS_KIND_DATABASE, .spc = spc, .db = db};
		if (r.failed)
			return ingest_corrupt(ing, "the end of a database", err);
		TRY(ingest_put(ing, &k, PS_VALUE_TOMBSTONE, NULL, 0, err));
		int rc = relations_of(&a, spc, db, err);
		for (size_t k2 = 0; rc == 0 && k2 < a.count; k2++)
			rc = ingest_put(ing, &a.rels[k2], PS_VALUE_TOMBSTONE, NULL, 0, err);
		free(a.rels);
		free(a.blocks);
		TRY(rc);
	}
	ingest_forget_database(ing, db);
	return 0;
}

int ingest_dbase(struct ps_ingest *ing, struct tarn_error *err)
{
	switch (ing->rec.info & 0xF0) {
	case 0x00:
		return copy_database(ing, err);
	case 0x10:
		return 0; /* its map and pages follow as records of their own */
	case 0x20:
		return drop_database(ing, err);
	default:
		return ingest_corrupt(ing, "a database record", err);
	}
}

int ingest_relmap(struct ps_ingest *ing, struct tarn_error *err)
{
	struct tarn_reader r;
	tarn_reader_init(&r, ing->rec.main, ing->rec.main_len);
	uint32_t db = tarn_reader_le32(&r), spc = tarn_reader_le32(&r), n = tarn_reader_le32(&r);
	const uint8_t *map = tarn_reader_bytes(&r, n);
	if (r.failed || n != RELMAP_BYTES)
		return ingest_corrupt(ing, "a relation map", err);
	struct ps_key k = {.kind = PS_KIND_DATABASE, .spc = spc, .db = db};
	return ingest_put(ing, &k, PS_VALUE_IMAGE, map, n, err);
}
