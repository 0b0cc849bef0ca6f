/*
 * The page walk: replays a stretch of a cluster's log, page by page, through the redo pool, starting
 * from a copy of the cluster at its beginning, and compares each page with the cluster's files at
 * its end.
 *
 *   redo_walk POSTGRES MODULE START_LSN COPY_DATADIR FINAL_DATADIR
 *
 * Both directories are of cleanly stopped clusters. Pages are equal if LSN and bytes are, modulo the
 * server's mask functions. Ends with 1 if any differ.
 */
#include "base/system.h"
#include "io/file.h"
#include "pg/wal_framer.h"
#include "redo/redo.h"

#define RM_XLOG 0
#define RM_HEAP2 9
#define RM_HEAP 10
#define RM_MAX_WITH_PAGES 22
#define RM_SMGR 2
#define RM_SEQ 15
#define FORK_FSM 1
#define FORK_VM 2
#define HEAP_BLOCKS_PER_VM_PAGE 32672u
#define SEGMENT_BLOCKS 131072u
#define GLOBAL_TABLESPACE 1664u

struct record {
	uint8_t *bytes;
	size_t len;
	tarn_lsn end_lsn;
};
struct tag {
	uint32_t spc, db, rel, fork, block;
};
struct touch { /* record changes page */
	struct tag tag;
	size_t record;
};
struct walk {
	struct redo_pool *pool;
	const char *copy_dir, *final_dir;
	struct record *records;
	size_t record_count, record_cap;
	struct touch *touches;
	size_t touch_count, touch_cap;
	uint32_t cut_rels[256]; /* their map's tail was cleared without a record of its own */
	size_t cut_count;
	size_t same, differ, lsn_differs, gone, truncated, excused;
	size_t differ_by_rmgr[256];
};

static void die(const struct tarn_error *err)
{
	fprintf(stderr, "redo_walk: %s\n", err->message);
	exit(2);
}

/* ---- which pages a record changes ---- */

static void add_touch(struct walk *w, struct tag tag)
{
	if (w->touch_count == w->touch_cap) {
		w->touch_cap = w->touch_cap ? w->touch_cap * 2 : 4096;
		w->touches = tarn_realloc(w->touches, w->touch_cap * sizeof *w->touches);
	}
	w->touches[w->touch_count++] = (struct touch){tag, w->record_count - 1};
}

/* Heap records that may clear visibility map bits do not name the map's page. */
static bool may_clear_map(uint8_t rmgr, uint8_t info)
{
	uint8_t op = info & 0x70;
	if (rmgr == RM_HEAP)
		return op == 0x00 || op == 0x10 || op == 0x20 || op == 0x40 || op == 0x60;
	return rmgr == RM_HEAP2 && (op == 0x50 || op == 0x60);
}

static bool is_followed(uint8_t rmgr, uint8_t info)
{
	if (rmgr == RM_XLOG)
		return (info & 0xF0) == 0xA0 || (info & 0xF0) == 0xB0;
	return rmgr >= RM_HEAP2 && rmgr <= RM_MAX_WITH_PAGES;
}

/* Block headers as in xlogrecord.h; data follows all headers. */
static void add_blocks(struct walk *w, const uint8_t *bytes, size_t len)
{
	struct tarn_reader r;
	uint8_t info = bytes[16], rmgr = bytes[17];
	struct tag tag = {0};
	tarn_reader_init(&r, bytes + 24, len - 24);
	for (size_t data = 0; tarn_reader_left(&r) > data;) {
		uint8_t id = tarn_reader_u8(&r);
		if (id == 255) {
			tarn_reader_u8(&r);
			break;
		} else if (id == 254) {
			tarn_reader_le32(&r);
			break;
		} else if (id == 253) {
			tarn_reader_le16(&r);
			continue;
		} else if (id == 252) {
			tarn_reader_le32(&r);
			continue;
		}
		uint8_t flags = tarn_reader_u8(&r);
		data += tarn_reader_le16(&r);
		if (flags & 0x10) {
			uint16_t image = tarn_reader_le16(&r);
			tarn_reader_le16(&r);
			uint8_t how = tarn_reader_u8(&r);
			data += image;
			if ((how & 0x01) && (how & 0x1C)) /* has a hole and is compressed */
				tarn_reader_le16(&r);
		}
		if (!(flags & 0x80)) {
			tag.spc = tarn_reader_le32(&r);
			tag.db = tarn_reader_le32(&r);
			tag.rel = tarn_reader_le32(&r);
		}
		tag.fork = flags & 0x0F;
		tag.block = tarn_reader_le32(&r);
		add_touch(w, tag);
		if (may_clear_map(rmgr, info)) {
			struct tag map = tag;
			map.fork = FORK_VM;
			map.block /= HEAP_BLOCKS_PER_VM_PAGE;
			add_touch(w, map);
		}
	}
}

static void note_truncation(struct walk *w, const struct wal_record_bytes *rec)
{
	if (rec->bytes[17] == RM_SMGR && (rec->bytes[16] & 0xF0) == 0x20 && rec->len >= 46 &&
	    w->cut_count < ARRAY_LEN(w->cut_rels))
		w->cut_rels[w->cut_count++] = get_le32(rec->bytes + 26 + 12);
}

static void add_record(struct walk *w, const struct wal_record_bytes *rec)
{
	note_truncation(w, rec);
	if (!is_followed(rec->bytes[17], rec->bytes[16]))
		return;
	if (w->record_count == w->record_cap) {
		w->record_cap = w->record_cap ? w->record_cap * 2 : 4096;
		w->records = tarn_realloc(w->records, w->record_cap * sizeof *w->records);
	}
	w->records[w->record_count++] = (struct record){.bytes = tarn_memdup(rec->bytes, rec->len),
							.len = rec->len,
							.end_lsn = rec->end_lsn};
	add_blocks(w, rec->bytes, rec->len);
}

/* ---- reading ---- */

/* Reads the log until it ends (recycled segments hold old bytes, so its end looks like damage). */
static void read_log(struct walk *w, tarn_lsn start)
{
	struct wal_framer f;
	struct tarn_error err;
	struct wal_record_bytes rec;
	uint8_t *buf = tarn_malloc(WAL_SEGMENT_BYTES);
	bool ended = false;
	wal_framer_init(&f, start, 0, 0);
	while (!ended) {
		char name[25], path[4096];
		int fd;
		size_t got, used = 0, n;
		bool complete;
		wal_segment_name(f.lsn, name);
		tarn_snprintf(path, sizeof path, "%s/pg_wal/%s", w->final_dir, name);
		if (file_open(path, O_RDONLY, 0, &fd, &err) != 0)
			break;
		if (file_pread_some(fd, buf, WAL_SEGMENT_BYTES - f.lsn % WAL_SEGMENT_BYTES,
				    f.lsn % WAL_SEGMENT_BYTES, &got, path, &err) != 0)
			die(&err);
		file_close(fd);
		while (used < got && !ended) {
			ended = wal_framer_feed(&f, buf + used, got - used, &n, &complete, &rec,
						&err) != 0;
			used += n;
			if (!ended && complete)
				add_record(w, &rec);
		}
	}
	fprintf(stderr, "log " TARN_LSN_FMT " to " TARN_LSN_FMT "\n", TARN_LSN_ARGS(start),
		TARN_LSN_ARGS(f.record_end_lsn));
	wal_framer_release(&f);
	free(buf);
}

enum found { PAGE_THERE, NO_FILE, PAST_END };

static enum found read_page(const char *dir, const struct tag *t, uint8_t *page)
{
	static const char *const forks[] = {"", "_fsm", "_vm", "_init"};
	char path[4096], where[64], segment[16] = "";
	struct tarn_error err;
	int fd;
	size_t got;
	tarn_snprintf(where, sizeof where, t->spc == GLOBAL_TABLESPACE ? "global" : "base/%u",
		      t->db);
	if (t->block >= SEGMENT_BLOCKS)
		tarn_snprintf(segment, sizeof segment, ".%u", t->block / SEGMENT_BLOCKS);
	tarn_snprintf(path, sizeof path, "%s/%s/%u%s%s", dir, where, t->rel, forks[t->fork & 3],
		      segment);
	if (file_open(path, O_RDONLY, 0, &fd, &err) != 0)
		return NO_FILE;
	if (file_pread_some(fd, page, REDO_PAGE_BYTES,
			    (uint64_t)(t->block % SEGMENT_BLOCKS) * REDO_PAGE_BYTES, &got, path,
			    &err) != 0)
		die(&err);
	file_close(fd);
	return got == REDO_PAGE_BYTES ? PAGE_THERE : PAST_END;
}

/* ---- pages ---- */

static int compare_touches(const void *a, const void *b)
{
	const struct touch *x = a, *y = b;
	int c = memcmp(&x->tag, &y->tag, sizeof x->tag);
	if (c != 0)
		return c;
	return x->record < y->record ? -1 : x->record > y->record;
}

static uint64_t page_lsn(const uint8_t *page)
{
	return (uint64_t)get_le32(page) << 32 | get_le32(page + 4);
}

static void mask(struct walk *w, uint8_t rmgr, const struct tag *t, uint8_t *page)
{
	struct tarn_error err;
	put_le16(page + 8, 0); /* checksum */
	if (t->fork == FORK_VM)
		return; /* all of a map page is "unused space" to the mask functions */
	if (redo_mask(w->pool, rmgr, t->block, page, &err) != 0)
		die(&err);
}

/* What stock replay leaves different too. */
static bool is_excused(const struct walk *w, const struct tag *t, uint8_t rmgr, bool lsn_differs,
		       tarn_lsn disk_lsn, bool bytes_differ)
{
	if (rmgr == RM_SEQ && !lsn_differs)
		return true; /* nextval logs 32 values ahead */
	if (lsn_differs && !bytes_differ && disk_lsn == 1)
		return true; /* a GiST build writes pages with this LSN and logs them later */
	/* CREATE DATABASE logs map pages as standard ones, whose "hole" is the whole map */
	if (t->fork == FORK_VM && rmgr == RM_XLOG)
		return true;
	/* a map page in which no bit was ever set: zeros, or initialised by clearing one */
	if (t->fork == FORK_VM && !lsn_differs && disk_lsn == 0)
		return true;
	for (size_t i = 0; i < w->cut_count; i++)
		if (t->fork == FORK_VM && t->rel == w->cut_rels[i])
			return true;
	return false;
}

static void compare(struct walk *w, const struct tag *t, uint8_t *mine, uint8_t rmgr)
{
	uint8_t disk[REDO_PAGE_BYTES];
	enum found found = read_page(w->final_dir, t, disk);
	if (found != PAGE_THERE || t->fork == FORK_FSM) {
		w->gone += found == NO_FILE || t->fork == FORK_FSM;
		w->truncated += found == PAST_END;
		return;
	}
	bool lsn_differs = page_lsn(disk) != page_lsn(mine);
	tarn_lsn lsn = page_lsn(mine), disk_lsn = page_lsn(disk);
	mask(w, rmgr, t, disk);
	mask(w, rmgr, t, mine);
	if (!lsn_differs && memcmp(disk, mine, sizeof disk) == 0) {
		w->same++;
		return;
	}
	size_t at = 0;
	while (at < sizeof disk && disk[at] == mine[at])
		at++;
	if (is_excused(w, t, rmgr, lsn_differs, disk_lsn, at < sizeof disk)) {
		w->excused++;
		return;
	}
	w->differ += !lsn_differs;
	w->lsn_differs += lsn_differs;
	if (++w->differ_by_rmgr[rmgr] < 10)
		fprintf(stderr,
			"differs: %u/%u/%u fork %u block %u rmgr %u at byte %zu, LSN " TARN_LSN_FMT
			", on disk " TARN_LSN_FMT "\n",
			t->spc, t->db, t->rel, t->fork, t->block, rmgr, at, TARN_LSN_ARGS(lsn),
			TARN_LSN_ARGS(disk_lsn));
}

/* Builds up to MAX_PAGES pages per call of redo_apply, all from touches [begin, end). */
static size_t walk_pages(struct walk *w, size_t begin, bool one_by_one, uint64_t *us)
{
	enum { MAX_PAGES = 64 };
	static uint8_t base[MAX_PAGES][REDO_PAGE_BYTES], out[MAX_PAGES][REDO_PAGE_BYTES];
	struct redo_request req[MAX_PAGES] = {0};
	struct redo_record *recs[MAX_PAGES];
	size_t first[MAX_PAGES], pages = 0;
	struct tarn_error err;
	while (begin < w->touch_count && pages < MAX_PAGES) {
		const struct tag *t = &w->touches[begin].tag;
		size_t end = begin, i = pages++;
		while (end < w->touch_count && memcmp(&w->touches[end].tag, t, sizeof *t) == 0)
			end++;
		recs[i] = tarn_calloc(end - begin, sizeof **recs);
		first[i] = begin;
		for (size_t k = begin; k < end; k++) {
			const struct record *r = &w->records[w->touches[k].record];
			recs[i][k - begin] = (struct redo_record){r->end_lsn, r->bytes, r->len};
		}
		req[i] = (struct redo_request){.spc = t->spc,
					       .db = t->db,
					       .rel = t->rel,
					       .fork = (uint8_t)t->fork,
					       .block = t->block,
					       .records = recs[i],
					       .count = end - begin,
					       .out = out[i]};
		if (read_page(w->copy_dir, t, base[i]) == PAGE_THERE)
			req[i].base = base[i];
		begin = end;
	}
	uint64_t began = tarn_mono_us();
	for (size_t i = 0; i < pages; i += one_by_one ? 1 : pages)
		if (redo_apply(w->pool, &req[i], one_by_one ? 1 : pages, &err) != 0)
			die(&err);
	*us += tarn_mono_us() - began;
	for (size_t i = 0; i < pages; i++) {
		size_t last = first[i] + req[i].count - 1;
		if (!one_by_one)
			compare(w, &w->touches[first[i]].tag, out[i],
				w->records[w->touches[last].record].bytes[17]);
		free(recs[i]);
	}
	return begin;
}

static void walk_all(struct walk *w, bool one_by_one)
{
	uint64_t us = 0;
	for (size_t at = 0; at < w->touch_count;)
		at = walk_pages(w, at, one_by_one, &us);
	printf("%s: %zu applications of %zu records in %.2f s: %.2f us each\n",
	       one_by_one ? "one page per call" : "64 pages per call", w->touch_count,
	       w->record_count, (double)us / 1e6, (double)us / (double)w->touch_count);
}

int main(int argc, char **argv)
{
	struct walk w = {0};
	struct tarn_error err;
	tarn_lsn start;
	char work_dir[] = "/tmp/tarn-redo-walk-XXXXXX";
	if (argc != 6 || !tarn_lsn_parse(argv[3], &start) || !mkdtemp(work_dir)) {
		fprintf(stderr, "usage: redo_walk POSTGRES MODULE START_LSN COPY FINAL\n");
		return 2;
	}
	w.copy_dir = argv[4];
	w.final_dir = argv[5];
	read_log(&w, start);
	qsort(w.touches, w.touch_count, sizeof *w.touches, compare_touches);
	struct redo_config c = {
		.postgres_path = argv[1], .module_path = argv[2], .work_dir = work_dir, .hosts = 1};
	if (redo_pool_new(&c, &w.pool, &err) != 0)
		die(&err);
	walk_all(&w, true);
	walk_all(&w, false);
	redo_pool_free(w.pool);
	file_remove_tree(work_dir, NULL);
	printf("pages: %zu same, %zu of other bytes, %zu of another LSN, %zu excused; "
	       "file gone %zu, truncated %zu\n",
	       w.same, w.differ, w.lsn_differs, w.excused, w.gone, w.truncated);
	for (size_t i = 0; i < w.record_count; i++)
		free(w.records[i].bytes);
	free(w.records);
	free(w.touches);
	return w.differ || w.lsn_differs || w.same == 0;
}
