/* Implementation of btree.h. */
#include "base/system.h"
#include "pg/btree.h"

#define META_MAGIC 0x053162u
#define META_MIN_VERSION 2u
#define META_MAX_VERSION 4u
#define SPECIAL_BYTES 16u
#define FLAG_LEAF 1u
#define FLAG_DELETED 4u
#define FLAG_META 8u
#define FLAG_HALF_DEAD 16u
#define TUPLE_HEADER_BYTES 8u
#define TUPLE_SIZE_MASK 0x1FFFu
#define TUPLE_ALT_TID 0x2000u
#define TUPLE_NULLS 0x8000u
#define TID_COUNT_MASK 0x0FFFu
#define TID_IS_POSTING 0x2000u
#define TID_BYTES 6u
#define MAX_DEPTH 20
/* 1 GiB of 1996-byte chunks is 540 000 entries; a leaf holds hundreds. */
#define MAX_PAGES (1u << 18)

struct node {
	uint8_t bytes[PG_PAGE_BYTES];
	struct pg_page page;
	uint32_t block;
	uint32_t prev, next;
	uint32_t level;
	uint16_t flags;
	uint16_t first; /* item of the first data key: 2 after a high key */
};
struct key {
	uint8_t nattrs; /* 0 … 2: a pivot may be cut short; what is cut off is minus infinity */
	uint32_t oid;
	int32_t seq;
};
struct scan {
	const struct btree_pages *pages;
	uint32_t oid;
	uint32_t pages_left;
	struct node node;
};

static int bad_node(const struct node *n, const char *what, struct tarn_error *err)
{
	return tarn_fail(err, TARN_E_CORRUPT, "index block %u: %s", n->block, what);
}

static int load(struct scan *s, uint32_t block, struct tarn_error *err)
{
	struct node *n = &s->node;
	n->block = block;
	if (s->pages_left-- == 0) {
		s->pages_left = 0;
		return bad_node(n, "the index leads in circles", err);
	}
	TRY(s->pages->get(s->pages->arg, block, n->bytes, err));
	if (pg_page_open(&n->page, n->bytes, err) != 0)
		return tarn_error_prefix(err, "index block %u", block);
	if (n->page.is_new || n->page.special != PG_PAGE_BYTES - SPECIAL_BYTES)
		return bad_node(n, "not a B-tree page", err);
	const uint8_t *special = n->bytes + n->page.special;
	n->prev = get_le32(special);
	n->next = get_le32(special + 4);
	n->level = get_le32(special + 8);
	n->flags = get_le16(special + 12);
	n->first = n->next == 0 ? 1 : 2;
	return 0;
}

/* At one LSN neighbours name each other, so a walk to the right cannot go in circles for long. */
static int load_next(struct scan *s, struct tarn_error *err)
{
	uint32_t from = s->node.block, level = s->node.level;
	TRY(load(s, s->node.next, err));
	if (s->node.prev != from)
		return bad_node(&s->node, "it is not linked to its left neighbour", err);
	if (s->node.level != level)
		return bad_node(&s->node, "its left neighbour is of another level", err);
	return 0;
}

static int load_root(struct scan *s, uint32_t *root, struct tarn_error *err)
{
	TRY(load(s, 0, err));
	const uint8_t *meta = s->node.bytes + PG_PAGE_HEADER_BYTES;
	if (!(s->node.flags & FLAG_META) || get_le32(meta) != META_MAGIC)
		return bad_node(&s->node, "not the meta page of a B-tree", err);
	if (get_le32(meta + 4) < META_MIN_VERSION || get_le32(meta + 4) > META_MAX_VERSION)
		return bad_node(&s->node, "a B-tree of another version", err);
	*root = get_le32(meta + 8);
	return 0;
}

static int tuple_at(const struct node *n, uint16_t item, const uint8_t **tuple, uint16_t *size,
		    struct tarn_error *err)
{
	uint16_t item_len;
	/* A leaf entry found dead keeps its storage: hints must not matter here. */
	if (pg_page_item(&n->page, item, tuple, &item_len, err) != 0)
		return tarn_error_prefix(err, "index block %u", n->block);
	if (item_len < TUPLE_HEADER_BYTES)
		return bad_node(n, "an entry is cut off", err);
	*size = get_le16(*tuple + 6) & TUPLE_SIZE_MASK;
	if (*size < TUPLE_HEADER_BYTES || *size > item_len)
		return bad_node(n, "an entry has an impossible length", err);
	return 0;
}

static int key_of(const struct node *n, uint16_t item, struct key *k, struct tarn_error *err)
{
	const uint8_t *tuple;
	uint16_t size;
	TRY(tuple_at(n, item, &tuple, &size, err));
	uint16_t info = get_le16(tuple + 6), tid_item = get_le16(tuple + 4);
	unsigned nattrs = 2;
	if ((info & TUPLE_ALT_TID) && !(tid_item & TID_IS_POSTING))
		nattrs = tid_item & TID_COUNT_MASK;
	/* The leftmost entry of an inner page bounds nothing, whatever it holds. */
	if (!(n->flags & FLAG_LEAF) && item == n->first)
		nattrs = 0;
	if (info & TUPLE_NULLS)
		return bad_node(n, "an entry has NULL keys", err);
	k->nattrs = (uint8_t)TARN_MIN(nattrs, 2u);
	if (size < TUPLE_HEADER_BYTES + 4u * k->nattrs)
		return bad_node(n, "an entry is too short for its keys", err);
	k->oid = k->nattrs > 0 ? get_le32(tuple + 8) : 0;
	k->seq = k->nattrs > 1 ? (int32_t)get_le32(tuple + 12) : INT32_MIN;
	return 0;
}

/* Does the key come before (oid, minus infinity)? */
static bool before(const struct key *k, uint32_t oid)
{
	return k->nattrs == 0 || k->oid < oid;
}

/* Past pages that were split or deleted under the descent, to the one that may hold the first. */
static int move_right(struct scan *s, struct tarn_error *err)
{
	struct node *n = &s->node;
	while (n->next != 0) {
		if (!(n->flags & (FLAG_DELETED | FLAG_HALF_DEAD))) {
			struct key high;
			TRY(key_of(n, 1, &high, err));
			if (!before(&high, s->oid))
				break;
		}
		TRY(load_next(s, err));
	}
	if (n->flags & (FLAG_DELETED | FLAG_HALF_DEAD))
		return bad_node(n, "the rightmost page is deleted", err);
	return 0;
}

static int child_of(const struct scan *s, uint32_t *child, struct tarn_error *err)
{
	const struct node *n = &s->node;
	if (n->page.nlines < n->first)
		return bad_node(n, "an inner page has no entries", err);
	uint16_t low = n->first, high = n->page.nlines; /* the last entry before the key */
	while (low < high) {
		uint16_t mid = (uint16_t)(low + (high - low + 1) / 2);
		struct key k;
		TRY(key_of(n, mid, &k, err));
		if (before(&k, s->oid))
			low = mid;
		else
			high = (uint16_t)(mid - 1);
	}
	const uint8_t *tuple;
	uint16_t size;
	TRY(tuple_at(n, low, &tuple, &size, err));
	*child = (uint32_t)get_le16(tuple) << 16 | get_le16(tuple + 2);
	return 0;
}

static int visit_entry(const struct scan *s, uint16_t item, const struct key *k,
		       int (*visit)(void *, const struct btree_hit *, struct tarn_error *),
		       void *visit_arg, struct tarn_error *err)
{
	const struct node *n = &s->node;
	const uint8_t *tuple;
	uint16_t size;
	TRY(tuple_at(n, item, &tuple, &size, err));
	struct btree_hit hit = {.oid = k->oid, .seq = k->seq};
	uint32_t count = 1, at = 0;
	if (get_le16(tuple + 6) & TUPLE_ALT_TID) {
		if (!(get_le16(tuple + 4) & TID_IS_POSTING))
			return bad_node(n, "a pivot entry on a leaf", err);
		/* Equal keys share one entry: the "block" is where their list begins. */
		count = get_le16(tuple + 4) & TID_COUNT_MASK;
		at = (uint32_t)get_le16(tuple) << 16 | get_le16(tuple + 2);
		if (at < TUPLE_HEADER_BYTES || at > size || count * TID_BYTES > size - at)
			return bad_node(n, "a posting list lies outside its entry", err);
	}
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *tid = tuple + at + i * TID_BYTES;
		hit.heap_block = (uint32_t)get_le16(tid) << 16 | get_le16(tid + 2);
		hit.heap_item = get_le16(tid + 4);
		TRY(visit(visit_arg, &hit, err));
	}
	return 0;
}

/* Binary search: the first item of a leaf not before the key. */
static int first_item(const struct scan *s, uint16_t *item, struct tarn_error *err)
{
	const struct node *n = &s->node;
	uint32_t low = n->first, high = n->page.nlines + 1u;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		struct key k;
		TRY(key_of(n, (uint16_t)mid, &k, err));
		if (before(&k, s->oid))
			low = mid + 1;
		else
			high = mid;
	}
	*item = (uint16_t)low;
	return 0;
}

/* To the leaf that may hold the first entry; *found false: the index is empty. */
static int descend(struct scan *s, bool *found, struct tarn_error *err)
{
	uint32_t block = 0;
	TRY(load_root(s, &block, err));
	*found = block != 0;
	for (int depth = 0; block != 0; depth++) {
		TRY(load(s, block, err));
		TRY(move_right(s, err));
		if (s->node.flags & FLAG_LEAF)
			break;
		if (depth == MAX_DEPTH)
			return bad_node(&s->node, "the tree is too deep", err);
		TRY(child_of(s, &block, err));
	}
	return 0;
}

static int walk_leaves(struct scan *s,
		       int (*visit)(void *, const struct btree_hit *, struct tarn_error *),
		       void *visit_arg, struct tarn_error *err)
{
	const struct node *n = &s->node;
	uint16_t item;
	TRY(first_item(s, &item, err));
	for (;;) {
		bool gone = n->flags & (FLAG_DELETED | FLAG_HALF_DEAD);
		for (; !gone && item <= n->page.nlines; item++) {
			struct key k;
			TRY(key_of(n, item, &k, err));
			if (k.nattrs == 2 && k.oid != s->oid)
				return 0;
			TRY(visit_entry(s, item, &k, visit, visit_arg, err));
		}
		if (n->next == 0)
			return 0;
		TRY(load_next(s, err));
		if (!(n->flags & FLAG_LEAF))
			return bad_node(n, "a leaf's neighbour is no leaf", err);
		item = n->first;
	}
}

int btree_scan_oid(const struct btree_pages *pages, uint32_t oid,
		   int (*visit)(void *visit_arg, const struct btree_hit *hit,
				struct tarn_error *err),
		   void *visit_arg, struct tarn_error *err)
{
	struct scan *s = tarn_malloc(sizeof *s);
	s->pages = pages;
	s->oid = oid;
	s->pages_left = MAX_PAGES;
	bool found = false;
	int rc = descend(s, &found, err);
	if (rc == 0 && found)
		rc = walk_leaves(s, visit, visit_arg, err);
	free(s);
	return rc;
}
