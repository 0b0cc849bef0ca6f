/* Implementation of catalog_reader.h: the cache, the lookups. */
#include "base/system.h"
#include <pthread.h>
#include "lake/catalog_build.h"
#include "lake/catalog_reader.h"
#include "lake/catalog_rows.h"

#define FORK_MAIN 0

struct entry {
	uint32_t db_oid;
	struct lake_database_built *built;
	tarn_lsn upto; /* built is exact from built->db.lsn to here */
};
struct lake_catalog {
	const struct lake_source *source;
	pthread_mutex_t lock; /* of what follows */
	struct entry *entries;
	uint32_t count;
};

/* ---- databases ---- */

static int compare_databases(const void *a, const void *b)
{
	const struct lake_database_name *x = a, *y = b;
	return strcmp(x->name, y->name);
}

int lake_catalog_databases(struct lake_catalog *c, tarn_lsn lsn, struct lake_database_name **out,
			   uint32_t *count, struct tarn_error *err)
{
	struct lake_snapshot *s = lake_snapshot_new(c->source, lsn);
	int rc = catalog_read_databases(s, out, count, err);
	lake_snapshot_free(s);
	if (rc == 0 && *count > 1)
		qsort(*out, *count, sizeof **out, compare_databases);
	return rc;
}

void lake_database_names_free(struct lake_database_name *names, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		free(names[i].name);
	free(names);
}

/* ---- references ---- */

const struct lake_database *lake_database_ref(const struct lake_database *db)
{
	__atomic_fetch_add(&((struct lake_database *)db)->refs, 1, __ATOMIC_RELAXED);
	return db;
}

void lake_database_release(const struct lake_database *db)
{
	if (db == NULL)
		return;
	if (__atomic_fetch_sub(&((struct lake_database *)db)->refs, 1, __ATOMIC_ACQ_REL) == 1)
		lake_catalog_build_free((struct lake_database_built *)db);
}

static struct lake_database_built *ref(struct lake_database_built *b)
{
	return (struct lake_database_built *)lake_database_ref(&b->db);
}

/* ---- cache ---- */

struct lake_catalog *lake_catalog_new(const struct lake_source *source)
{
	struct lake_catalog *c = tarn_calloc(1, sizeof *c);
	c->source = source;
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

void lake_catalog_free(struct lake_catalog *c)
{
	if (c == NULL)
		return;
	for (uint32_t i = 0; i < c->count; i++)
		lake_database_release(&c->entries[i].built->db);
	free(c->entries);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static struct entry *find_entry(struct lake_catalog *c, uint32_t db_oid)
{
	for (uint32_t i = 0; i < c->count; i++)
		if (c->entries[i].db_oid == db_oid)
			return &c->entries[i];
	return NULL;
}

/* What is cached, with a reference; NULL: nothing. */
static struct lake_database_built *cache_get(struct lake_catalog *c, uint32_t db_oid,
					     tarn_lsn *upto)
{
	struct lake_database_built *b = NULL;
	pthread_mutex_lock(&c->lock);
	struct entry *e = find_entry(c, db_oid);
	if (e != NULL) {
		b = ref(e->built);
		*upto = e->upto;
	}
	pthread_mutex_unlock(&c->lock);
	return b;
}

/* b is exact at lsn. Only the newest is kept. */
static void cache_put(struct lake_catalog *c, struct lake_database_built *b, tarn_lsn lsn)
{
	const struct lake_database *old = NULL;
	pthread_mutex_lock(&c->lock);
	struct entry *e = find_entry(c, b->db.oid);
	if (e == NULL) {
		c->entries = tarn_realloc(c->entries, (c->count + 1) * sizeof *c->entries);
		e = &c->entries[c->count++];
		*e = (struct entry){b->db.oid, ref(b), lsn};
	} else if (e->built == b) {
		e->upto = TARN_MAX(e->upto, lsn);
	} else if (e->built->db.lsn < b->db.lsn) {
		old = &e->built->db;
		e->built = ref(b);
		e->upto = lsn;
	}
	pthread_mutex_unlock(&c->lock);
	lake_database_release(old);
}

/* The database is gone at lsn. */
static void cache_drop(struct lake_catalog *c, uint32_t db_oid, tarn_lsn lsn)
{
	const struct lake_database *old = NULL;
	pthread_mutex_lock(&c->lock);
	struct entry *e = find_entry(c, db_oid);
	if (e != NULL && e->upto < lsn) {
		old = &e->built->db;
		*e = c->entries[--c->count];
	}
	pthread_mutex_unlock(&c->lock);
	lake_database_release(old);
}

static int found_touched(void *arg, uint32_t block, struct tarn_error *err)
{
	(void)block;
	(void)err;
	*(bool *)arg = true;
	return TARN_E_CANCELLED;
}

/* Does b, exact at `upto`, hold at the snapshot, which is later? */
static int holds_later(const struct lake_database_built *b, tarn_lsn upto, struct lake_snapshot *s,
		       bool *out, struct tarn_error *err)
{
	const struct lake_source *source = lake_snapshot_source(s);
	TRY(lake_pending_holds(&b->pending, s, out, err));
	for (int i = 0; *out && i < LAKE_CATALOG_TABLES; i++) {
		bool touched = false;
		if (b->files[i].rel == 0)
			continue;
		int rc = source->touched(source->arg, &b->files[i], FORK_MAIN, upto,
					 lake_snapshot_lsn(s), found_touched, &touched, err);
		if (touched)
			*out = false;
		else if (rc != 0)
			return rc;
	}
	return 0;
}

static int holds(const struct lake_database_built *b, tarn_lsn upto,
		 const struct lake_database_name *name, struct lake_snapshot *s, bool *out,
		 struct tarn_error *err)
{
	struct lake_rel files[LAKE_CATALOG_TABLES];
	tarn_lsn lsn = lake_snapshot_lsn(s);
	*out = false;
	if (lsn < b->db.lsn || b->db.spc != name->spc || strcmp(b->db.name, name->name) != 0)
		return 0;
	/* A mapped catalog can be rewritten without any other saying so. */
	TRY(catalog_mapped_files(s, name->spc, name->oid, files, err));
	for (int i = 0; i < LAKE_CATALOG_TABLES; i++)
		if (files[i].rel != 0 && memcmp(&files[i], &b->files[i], sizeof files[i]) != 0)
			return 0;
	*out = lsn <= upto;
	return *out ? 0 : holds_later(b, upto, s, out, err);
}

/* ---- open ---- */

static int find_database(struct lake_snapshot *s, uint32_t db_oid, struct lake_database_name *out,
			 struct tarn_error *err)
{
	struct lake_database_name *names;
	uint32_t count;
	bool found = false;
	TRY(catalog_read_databases(s, &names, &count, err));
	for (uint32_t i = 0; i < count && !found; i++) {
		found = names[i].oid == db_oid;
		if (found) {
			*out = names[i];
			names[i].name = NULL;
		}
	}
	lake_database_names_free(names, count);
	char lsn[TARN_LSN_TEXT_BYTES];
	tarn_lsn_format(lake_snapshot_lsn(s), lsn);
	return found ? 0
		     : tarn_fail(err, TARN_E_NOT_FOUND, "there is no database %u at LSN %s", db_oid,
				 lsn);
}

/* *cached: what the cache has, or NULL; released. */
static int open_at(struct lake_catalog *c, struct lake_snapshot *s, uint32_t db_oid,
		   struct lake_database_built *cached, tarn_lsn upto,
		   struct lake_database_built **out, struct tarn_error *err)
{
	struct lake_database_name name;
	bool same = false;
	int rc = find_database(s, db_oid, &name, err);
	if (rc == TARN_E_NOT_FOUND)
		cache_drop(c, db_oid, lake_snapshot_lsn(s));
	if (rc != 0)
		return rc;
	if (cached != NULL)
		rc = holds(cached, upto, &name, s, &same, err);
	if (rc == 0 && same)
		*out = ref(cached);
	else if (rc == 0)
		rc = lake_catalog_build(s, &name, out, err);
	if (rc == 0)
		cache_put(c, *out, lake_snapshot_lsn(s));
	free(name.name);
	return rc;
}

int lake_catalog_open(struct lake_catalog *c, uint32_t db_oid, tarn_lsn lsn,
		      const struct lake_database **out, struct tarn_error *err)
{
	tarn_lsn upto = 0;
	struct lake_database_built *built, *cached = cache_get(c, db_oid, &upto);
	if (cached != NULL && (lsn == upto || lsn == cached->db.lsn)) {
		*out = &cached->db;
		return 0;
	}
	struct lake_snapshot *s = lake_snapshot_new(c->source, lsn);
	int rc = open_at(c, s, db_oid, cached, upto, &built, err);
	lake_snapshot_free(s);
	if (cached != NULL)
		lake_database_release(&cached->db);
	if (rc == 0)
		*out = &built->db;
	return rc;
}

/* ---- lookups ---- */

const struct lake_table *lake_database_table(const struct lake_database *db, uint32_t relid)
{
	uint32_t low = 0, high = db->ntables;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		if (db->tables[mid].relid == relid)
			return &db->tables[mid];
		if (db->tables[mid].relid < relid)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

const struct lake_table *lake_database_table_named(const struct lake_database *db,
						   const char *schema, const char *name)
{
	uint32_t low = 0, high = db->ntables;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		int order = strcmp(db->by_name[mid]->schema, schema);
		if (order == 0)
			order = strcmp(db->by_name[mid]->name, name);
		if (order == 0)
			return db->by_name[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

const struct lake_type *lake_database_type(const struct lake_database *db, uint32_t oid)
{
	uint32_t low = 0, high = db->ntypes;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		if (db->types[mid].oid == oid)
			return &db->types[mid];
		if (db->types[mid].oid < oid)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

const struct lake_type *lake_type_base(const struct lake_database *db, const struct lake_type *t,
				       int32_t *typmod)
{
	/* Corrupt domains could name each other in a circle. */
	for (uint32_t steps = 0; t->typtype == 'd' && steps < db->ntypes; steps++) {
		const struct lake_type *under = lake_database_type(db, t->base);
		if (under == NULL)
			break;
		if (t->typmod != -1)
			*typmod = t->typmod;
		t = under;
	}
	return t;
}
