/* Implementation of memlayer.h. */
#include "base/system.h"
#include "pageserver/memlayer.h"
#include <sys/mman.h>

#define CHUNK_MIN_BYTES (8 * KIB)
#define CHUNK_MAX_BYTES (256 * KIB)
#define RADIX_BITS 4
#define RADIX_WAYS (1 << RADIX_BITS)
#define RADIX_MAX_HEIGHT (32 / RADIX_BITS)
#define SKIP_LEVELS 16
#define TABLE_MIN_SLOTS 64

struct chunk {
	struct chunk *next;
	size_t bytes; /* whole chunk, header included */
	size_t used;
	size_t pad;
	uint8_t data[];
};

struct radix_node {
	void *way[RADIX_WAYS]; /* lower nodes, or at height 1 versions */
};

/* Low bits of a root: the height of the tree, 0 to 8; a tree of height h covers 16^h blocks. */
#define ROOT_HEIGHT_MASK ((uintptr_t)15)

struct ps_mem_group {
	struct ps_key key; /* with block 0 */
	uintptr_t root;	   /* atomic */
	unsigned levels;
	struct ps_mem_group *next[]; /* levels of them, atomic */
};

struct table {
	struct table *older; /* kept for readers that still look there */
	size_t mask;
	struct ps_mem_group *slot[]; /* atomic */
};

struct ps_memlayer {
	struct chunk *chunks; /* newest first; the newest is being filled */
	size_t bytes;	      /* atomic */
	struct table *table;  /* atomic */
	size_t groups;
	struct ps_mem_group *head[SKIP_LEVELS]; /* atomic */
	struct ps_mem_group *last_group;	/* writer's guess: the group of the put before */
	uint64_t entries;
	tarn_lsn first_lsn, last_lsn;
	uint64_t random;
};

#define LOAD(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define PUBLISH(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

static struct chunk *new_chunk(struct ps_memlayer *m, size_t need)
{
	size_t bytes =
		m->chunks ? TARN_MIN(m->chunks->bytes * 2, CHUNK_MAX_BYTES) : CHUNK_MIN_BYTES;
	bytes = TARN_MAX(bytes, align_up_u64(need + sizeof(struct chunk), 4096));
	/* mapped, so that the memory goes back to the system with the layer */
	struct chunk *c =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TARN_CHECK(c != MAP_FAILED);
	c->bytes = bytes;
	c->next = m->chunks;
	m->chunks = c;
	__atomic_fetch_add(&m->bytes, bytes, __ATOMIC_RELAXED);
	return c;
}

/* Zeroed (the memory is fresh from the system), aligned to 16. */
static void *take(struct ps_memlayer *m, size_t bytes)
{
	struct chunk *c = m->chunks;
	bytes = (bytes + 15) & ~(size_t)15;
	if (!c || c->bytes - sizeof *c - c->used < bytes)
		c = new_chunk(m, bytes);
	void *p = c->data + c->used;
	c->used += bytes;
	return p;
}

static struct table *new_table(struct ps_memlayer *m, size_t slots, struct table *older)
{
	struct table *t = tarn_calloc(1, sizeof *t + slots * sizeof t->slot[0]);
	t->mask = slots - 1;
	t->older = older;
	__atomic_fetch_add(&m->bytes, sizeof *t + slots * sizeof t->slot[0], __ATOMIC_RELAXED);
	return t;
}

struct ps_memlayer *ps_memlayer_new(void)
{
	struct ps_memlayer *m = tarn_calloc(1, sizeof *m);
	m->bytes = sizeof *m;
	m->table = new_table(m, TABLE_MIN_SLOTS, NULL);
	m->random = 0x9e3779b97f4a7c15ULL;
	return m;
}

void ps_memlayer_free(struct ps_memlayer *m)
{
	if (!m)
		return;
	for (struct chunk *c = m->chunks, *next; c; c = next) {
		next = c->next;
		munmap(c, c->bytes);
	}
	for (struct table *t = m->table, *older; t; t = older) {
		older = t->older;
		free(t);
	}
	free(m);
}

static size_t hash_group(const struct ps_key *k)
{
	uint64_t a = ((uint64_t)k->rel << 32) | k->db;
	uint64_t b = ((uint64_t)k->spc << 16) | ((uint64_t)k->kind << 8) | k->fork;
	uint64_t h = (a ^ (b * 0x9e3779b97f4a7c15ULL)) * 0xff51afd7ed558ccdULL;
	h ^= h >> 32;
	return (size_t)(h * 0xc4ceb9fe1a85ec53ULL >> 20);
}

static bool same_group(const struct ps_key *a, const struct ps_key *b)
{
	return a->rel == b->rel && a->kind == b->kind && a->fork == b->fork && a->db == b->db &&
	       a->spc == b->spc;
}

static struct ps_mem_group *find_group(const struct ps_memlayer *m, const struct ps_key *key)
{
	struct table *t = LOAD(&m->table);
	for (size_t i = hash_group(key);; i++) {
		struct ps_mem_group *g = LOAD(&t->slot[i & t->mask]);
		if (!g || same_group(&g->key, key))
			return g;
	}
}

static void insert_slot(struct table *t, struct ps_mem_group *g)
{
	size_t i = hash_group(&g->key);
	while (t->slot[i & t->mask])
		i++;
	PUBLISH(&t->slot[i & t->mask], g);
}

static void grow_table(struct ps_memlayer *m)
{
	struct table *t = new_table(m, (m->table->mask + 1) * 2, m->table);
	for (struct ps_mem_group *g = m->head[0]; g; g = g->next[0])
		insert_slot(t, g);
	PUBLISH(&m->table, t);
}

/* Levels with probability 1/4 each. */
static unsigned draw_levels(struct ps_memlayer *m)
{
	unsigned levels = 1;
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	for (uint64_t r = m->random; levels < SKIP_LEVELS && (r & 3) == 0; r >>= 2)
		levels++;
	return levels;
}

static struct ps_mem_group *add_group(struct ps_memlayer *m, const struct ps_key *key)
{
	unsigned levels = draw_levels(m);
	struct ps_mem_group *g = take(m, sizeof *g + levels * sizeof g->next[0]);
	g->key = *key;
	g->key.block = 0;
	g->levels = levels;
	struct ps_mem_group **at = m->head, **place[SKIP_LEVELS];
	for (unsigned l = SKIP_LEVELS; l-- > 0;) {
		while (at[l] && ps_key_compare(&at[l]->key, &g->key) < 0)
			at = at[l]->next;
		place[l] = &at[l];
	}
	/* From the bottom up: a reader that meets g on a level finds its way on all levels below.
	 */
	for (unsigned l = 0; l < levels; l++)
		g->next[l] = *place[l];
	for (unsigned l = 0; l < levels; l++)
		PUBLISH(place[l], g);
	if (++m->groups * 2 > m->table->mask)
		grow_table(m);
	else
		insert_slot(m->table, g);
	return g;
}

static unsigned height_for(uint32_t block)
{
	unsigned h = 0;
	while (h < RADIX_MAX_HEIGHT && block >> (RADIX_BITS * h))
		h++;
	return h;
}

/* The place of block's newest version in the group's tree, made if need be. */
static void **radix_place(struct ps_memlayer *m, struct ps_mem_group *g, uint32_t block)
{
	unsigned need = height_for(block);
	unsigned height = (unsigned)(g->root & ROOT_HEIGHT_MASK);
	while (height < need) {
		struct radix_node *n = take(m, sizeof *n);
		n->way[0] = (void *)(g->root & ~ROOT_HEIGHT_MASK);
		height++;
		PUBLISH(&g->root, (uintptr_t)n | height);
	}
	struct radix_node *n = (struct radix_node *)(g->root & ~ROOT_HEIGHT_MASK);
	for (;; height--) {
		void **way = &n->way[(block >> (RADIX_BITS * (height - 1))) & (RADIX_WAYS - 1)];
		if (height == 1)
			return way;
		if (!*way) {
			struct radix_node *lower = take(m, sizeof *lower);
			PUBLISH(way, lower);
		}
		n = *way;
	}
}

void ps_memlayer_put(struct ps_memlayer *m, const struct ps_key *key, tarn_lsn lsn,
		     enum ps_value_kind kind, const void *value, size_t len)
{
	TARN_CHECK(len <= PS_MAX_VALUE_BYTES && lsn >= m->last_lsn);
	struct ps_mem_entry *e = take(m, sizeof *e + len);
	e->lsn = lsn;
	e->len = (uint32_t)len;
	e->kind = (uint8_t)kind;
	if (len)
		memcpy(e->bytes, value, len);
	struct ps_mem_group *g = m->last_group;
	if (!g || !same_group(&g->key, key)) {
		g = find_group(m, key);
		if (!g)
			g = add_group(m, key);
		m->last_group = g;
	}
	if (key->block == 0 && (g->root & ROOT_HEIGHT_MASK) == 0) {
		e->prev = (const struct ps_mem_entry *)g->root;
		PUBLISH(&g->root, (uintptr_t)e);
	} else {
		void **place = radix_place(m, g, key->block);
		e->prev = *place;
		PUBLISH(place, (void *)e);
	}
	if (m->entries++ == 0)
		m->first_lsn = lsn;
	m->last_lsn = lsn;
}

size_t ps_memlayer_bytes(const struct ps_memlayer *m)
{
	return __atomic_load_n(&m->bytes, __ATOMIC_RELAXED);
}

uint64_t ps_memlayer_entries(const struct ps_memlayer *m)
{
	return m->entries;
}

tarn_lsn ps_memlayer_first_lsn(const struct ps_memlayer *m)
{
	return m->first_lsn;
}

tarn_lsn ps_memlayer_last_lsn(const struct ps_memlayer *m)
{
	return m->last_lsn;
}

/* The first version at a block >= from below a node of that height; base: the node's first block.
 */
static const struct ps_mem_entry *radix_seek(void *node, unsigned height, uint32_t from,
					     uint32_t base, uint32_t *block)
{
	if (!node)
		return NULL;
	if (height == 0) {
		*block = base;
		return node;
	}
	unsigned shift = RADIX_BITS * (height - 1);
	uint32_t below = ((uint32_t)1 << shift) - 1;
	for (uint32_t i = (from >> shift) & (RADIX_WAYS - 1); i < RADIX_WAYS; i++) {
		const struct ps_mem_entry *e =
			radix_seek(LOAD(&((struct radix_node *)node)->way[i]), height - 1,
				   from & below, base | i << shift, block);
		if (e)
			return e;
		from = 0;
	}
	return NULL;
}

static const struct ps_mem_entry *group_seek(const struct ps_mem_group *g, uint32_t from,
					     uint32_t *block)
{
	uintptr_t root = LOAD(&g->root);
	unsigned height = (unsigned)(root & ROOT_HEIGHT_MASK);
	if (height_for(from) > height)
		return NULL;
	return radix_seek((void *)(root & ~ROOT_HEIGHT_MASK), height, from, 0, block);
}

const struct ps_mem_entry *ps_memlayer_find(const struct ps_memlayer *m, const struct ps_key *key)
{
	struct ps_mem_group *g = find_group(m, key);
	if (!g)
		return NULL;
	uintptr_t root = LOAD(&g->root);
	unsigned height = (unsigned)(root & ROOT_HEIGHT_MASK);
	void *node = (void *)(root & ~ROOT_HEIGHT_MASK);
	if (height_for(key->block) > height)
		return NULL;
	for (; node && height > 0; height--)
		node = LOAD(&((struct radix_node *)node)
				     ->way[(key->block >> (RADIX_BITS * (height - 1))) &
					   (RADIX_WAYS - 1)]);
	return node;
}

void ps_mem_walk_init(struct ps_mem_walk *w, const struct ps_memlayer *m, const struct ps_key *from)
{
	struct ps_key group = *from;
	group.block = 0;
	struct ps_mem_group *const *at = m->head;
	struct ps_mem_group *g = NULL;
	for (unsigned l = SKIP_LEVELS; l-- > 0;)
		while ((g = LOAD(&at[l])) && ps_key_compare(&g->key, &group) < 0)
			at = g->next;
	w->m = m;
	w->group = g;
	w->next_block = g && same_group(&g->key, from) ? from->block : 0;
}

const struct ps_mem_entry *ps_mem_walk_next(struct ps_mem_walk *w, struct ps_key *key)
{
	while (w->group) {
		uint32_t block;
		const struct ps_mem_entry *e =
			w->next_block > UINT32_MAX
				? NULL
				: group_seek(w->group, (uint32_t)w->next_block, &block);
		if (e) {
			*key = w->group->key;
			key->block = block;
			w->next_block = (uint64_t)block + 1;
			return e;
		}
		w->group = LOAD(&w->group->next[0]);
		w->next_block = 0;
	}
	return NULL;
}
