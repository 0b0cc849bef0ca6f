/* Relation sizes as ingest sees them: a hash in front of the store's RELSIZE keys. */
#include "base/system.h"
#define uthash_malloc(sz) tarn_malloc(sz)
#define uthash_free(ptr, sz) free(ptr)
#include <uthash.h>
#include "pageserver/ingest_internal.h"

#define MAX_CACHED 200000

struct relsize {
	struct ps_key key; /* kind RELSIZE, padding zero */
	uint32_t blocks;
	UT_hash_handle hh;
};

/* Zeroes the padding: the hash is over all bytes. */
static void size_key(struct ps_key *out, const struct ps_key *rel)
{
	memset(out, 0, sizeof *out);
	out->kind = PS_KIND_RELSIZE;
	out->spc = rel->spc;
	out->db = rel->db;
	out->rel = rel->rel;
	out->fork = rel->fork;
}

static struct relsize *remember(struct ps_ingest *ing, const struct ps_key *key, uint32_t blocks)
{
	struct relsize *r = tarn_calloc(1, sizeof *r);
	if (HASH_COUNT(ing->sizes) >= MAX_CACHED)
		ingest_sizes_free(ing);
	memcpy(&r->key, key, sizeof *key);
	r->blocks = blocks;
	HASH_ADD(hh, ing->sizes, key, sizeof r->key, r);
	return r;
}

int ingest_size(struct ps_ingest *ing, const struct ps_key *rel, uint32_t *blocks,
		struct tarn_error *err)
{
	struct ps_key key;
	struct relsize *r;
	struct tarn_buf value = TARN_BUF_INIT;
	bool absent;
	size_key(&key, rel);
	HASH_FIND(hh, ing->sizes, &key, sizeof key, r);
	if (r) {
		*blocks = r->blocks;
		return 0;
	}
	int rc = ps_timeline_get(ing->tl, &key, UINT64_MAX, &value, &absent, err);
	if (rc == 0 && !absent && value.len != 4)
		rc = ingest_corrupt(ing, "a stored relation size", err);
	*blocks = rc == 0 && !absent ? get_le32(value.data) : SIZE_ABSENT;
	tarn_buf_release(&value);
	if (rc == 0)
		remember(ing, &key, *blocks);
	return rc;
}

int ingest_set_size(struct ps_ingest *ing, const struct ps_key *rel, uint32_t blocks,
		    struct tarn_error *err)
{
	struct ps_key key;
	struct relsize *r;
	uint8_t bytes[4];
	size_key(&key, rel);
	put_le32(bytes, blocks);
	if (blocks == SIZE_ABSENT)
		TRY(ingest_put(ing, &key, PS_VALUE_TOMBSTONE, NULL, 0, err));
	else
		TRY(ingest_put(ing, &key, PS_VALUE_IMAGE, bytes, sizeof bytes, err));
	HASH_FIND(hh, ing->sizes, &key, sizeof key, r);
	if (r)
		r->blocks = blocks;
	else
		remember(ing, &key, blocks);
	return 0;
}

void ingest_forget_database(struct ps_ingest *ing, uint32_t db)
{
	struct relsize *r, *next;
	HASH_ITER (hh, ing->sizes, r, next) {
		if (r->key.db == db) {
			HASH_DEL(ing->sizes, r);
			free(r);
		}
	}
}

void ingest_sizes_free(struct ps_ingest *ing)
{
	struct relsize *r, *next;
	HASH_ITER (hh, ing->sizes, r, next) {
		HASH_DEL(ing->sizes, r);
		free(r);
	}
}
