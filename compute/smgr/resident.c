/* Implementation of resident.h. */
#include "postgres.h"
#include "access/htup_details.h"
#include "access/transam.h"
#include "miscadmin.h"
#include "storage/bufpage.h"
#include "storage/itemid.h"
#include "storage/procarray.h"
#include "utils/guc.h"
#include "resident.h"

/* sequence.c of the server */
#define SEQUENCE_MAGIC 0x1717
/* Builds that log their pages at the end give them LSN 0 or a small one; xlogdefs.h of the server. */
#define FIRST_LOGGED_LSN FirstNormalUnloggedLSN

static char *rules_off;

void tarn_resident_settings(void)
{
	DefineCustomStringVariable(
		"tarn.debug_rules_off",
		"Resident-page rules to leave out, so that tests see what they are for.",
		"Loses data. Any of cid, zero_lsn, sequence, maps, unlogged.", &rules_off, "",
		PGC_POSTMASTER, GUC_NOT_IN_SAMPLE | GUC_NO_SHOW_ALL, NULL, NULL, NULL);
}

bool tarn_rule_is_on(const char *rule)
{
	const char *at = rules_off[0] ? strstr(rules_off, rule) : NULL;
	return at == NULL;
}

bool tarn_page_is_sequence(const char *page)
{
	const PageHeaderData *h = (const PageHeaderData *)page;
	uint32 magic;
	if (h->pd_special != BLCKSZ - MAXALIGN(sizeof magic))
		return false;
	memcpy(&magic, page + h->pd_special, sizeof magic);
	return magic == SEQUENCE_MAGIC;
}

/* Redo sets the command id of each tuple to the first one. */
static bool has_command_id(const HeapTupleHeaderData *t)
{
	return t->t_choice.t_heap.t_field3.t_cid != FirstCommandId ||
	       (t->t_infomask & HEAP_COMBOCID) != 0;
}

struct running {
	TransactionId asked; /* the answer for one transaction, as most pages hold few */
	bool answer;
	TransactionId oldest;
};

/* TransactionIdIsInProgress takes its caller for a member of the process array and skips its place;
 * checkpointer and background writer have none and would skip another's. They ask whether the
 * transaction is at least as new as the oldest running one. */
static bool ask_running(struct running *r, TransactionId xid)
{
	if (MyAuxProcType == NotAnAuxProcess)
		return TransactionIdIsInProgress(xid);
	if (r->oldest == InvalidTransactionId)
		r->oldest = GetOldestActiveTransactionId();
	return TransactionIdFollowsOrEquals(xid, r->oldest);
}

static bool is_running(struct running *r, TransactionId xid)
{
	if (!TransactionIdIsNormal(xid))
		return false;
	if (xid != r->asked) {
		r->asked = xid;
		r->answer = ask_running(r, xid);
	}
	return r->answer;
}

static bool tuple_needs_command_id(struct running *r, const HeapTupleHeaderData *t)
{
	uint16 mask = t->t_infomask;
	if (!has_command_id(t) || (mask & HEAP_MOVED))
		return false;
	if (!(mask & (HEAP_XMIN_COMMITTED | HEAP_XMIN_INVALID)) &&
	    is_running(r, HeapTupleHeaderGetRawXmin(t)))
		return true;
	if ((mask & HEAP_XMAX_INVALID) || HEAP_XMAX_IS_LOCKED_ONLY(mask))
		return false;
	/* Who of a multixact updates is not looked up: the page stays a little longer than needed. */
	return (mask & HEAP_XMAX_IS_MULTI) != 0 || is_running(r, HeapTupleHeaderGetRawXmax(t));
}

/* Pages of tables have no special space. */
static bool has_running_command_ids(const char *page)
{
	Page p = (Page)unconstify(char *, page);
	struct running r = {0};
	if (PageGetSpecialSize(p) != 0)
		return false;
	OffsetNumber last = (OffsetNumber)PageGetMaxOffsetNumber(p);
	for (OffsetNumber i = FirstOffsetNumber; i <= last; i++) {
		ItemId id = PageGetItemId(p, i);
		if (ItemIdIsNormal(id) &&
		    tuple_needs_command_id(&r, (HeapTupleHeader)PageGetItem(p, id)))
			return true;
	}
	return false;
}

bool tarn_page_must_stay(ForkNumber fork, const char *page)
{
	/* Neither map's changes are all logged under the page's own LSN, and both maps are small. */
	if (fork == FSM_FORKNUM || fork == VISIBILITYMAP_FORKNUM)
		return tarn_rule_is_on("maps");
	if (PageGetLSN((Page)unconstify(char *, page)) < FIRST_LOGGED_LSN)
		return tarn_rule_is_on("zero_lsn");
	if (fork != MAIN_FORKNUM)
		return false;
	if (tarn_page_is_sequence(page))
		return tarn_rule_is_on("sequence");
	return tarn_rule_is_on("cid") && has_running_command_ids(page);
}
