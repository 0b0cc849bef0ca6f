/* Implementation of database.h. */
#include "postgres.h"
#include "access/relation.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_tablespace.h"
#include "commands/dbcommands.h"
#include "commands/tablespace.h"
#include "common/relpath.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/smgr.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "../tarn.h"
#include "database.h"
#include "last_written.h"
#include "page_client.h"
#include "relation_table.h"
#include "takeover.h"

static ProcessUtility_hook_type next_utility;

/* ---- sizes ---- */

static int64 fork_bytes(Relation rel, ForkNumber fork)
{
	SMgrRelation r = RelationGetSmgr(rel);
	return smgrexists(r, fork) ? (int64)smgrnblocks(r, fork) * BLCKSZ : 0;
}

/* Partitioned tables, views and the like have no storage. */
static int64 all_forks_bytes(Relation rel)
{
	int64 bytes = 0;
	if (!RELKIND_HAS_STORAGE(rel->rd_rel->relkind))
		return 0;
	for (ForkNumber fork = MAIN_FORKNUM; fork <= MAX_FORKNUM; fork++)
		bytes += fork_bytes(rel, fork);
	return bytes;
}

static int64 indexes_bytes(Relation rel)
{
	int64 bytes = 0;
	ListCell *cell;
	if (!rel->rd_rel->relhasindex)
		return 0;
	List *indexes = RelationGetIndexList(rel);
	foreach(cell, indexes)
	{
		Relation index = relation_open(lfirst_oid(cell), AccessShareLock);
		bytes += all_forks_bytes(index);
		relation_close(index, AccessShareLock);
	}
	list_free(indexes);
	return bytes;
}

static int64 table_bytes(Relation rel)
{
	int64 bytes = all_forks_bytes(rel);
	if (OidIsValid(rel->rd_rel->reltoastrelid)) {
		Relation toast = relation_open(rel->rd_rel->reltoastrelid, AccessShareLock);
		bytes += all_forks_bytes(toast) + indexes_bytes(toast);
		relation_close(toast, AccessShareLock);
	}
	return bytes;
}

static Datum relation_size(PG_FUNCTION_ARGS)
{
	Relation rel = try_relation_open(PG_GETARG_OID(0), AccessShareLock);
	ForkNumber fork = forkname_to_number(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	if (!rel)
		PG_RETURN_NULL();
	int64 bytes = RELKIND_HAS_STORAGE(rel->rd_rel->relkind) ? fork_bytes(rel, fork) : 0;
	relation_close(rel, AccessShareLock);
	PG_RETURN_INT64(bytes);
}

static Datum measure(FunctionCallInfo fcinfo, int64 (*bytes_of)(Relation))
{
	Relation rel = try_relation_open(PG_GETARG_OID(0), AccessShareLock);
	if (!rel)
		PG_RETURN_NULL();
	int64 bytes = bytes_of(rel);
	relation_close(rel, AccessShareLock);
	PG_RETURN_INT64(bytes);
}

static int64 total_bytes(Relation rel)
{
	return table_bytes(rel) + indexes_bytes(rel);
}

static Datum table_size(PG_FUNCTION_ARGS)
{
	return measure(fcinfo, table_bytes);
}

static Datum indexes_size(PG_FUNCTION_ARGS)
{
	return measure(fcinfo, indexes_bytes);
}

static Datum total_relation_size(PG_FUNCTION_ARGS)
{
	return measure(fcinfo, total_bytes);
}

/* Who may ask is as in the server's own function. */
static int64 database_bytes(Oid db)
{
	if (pg_database_aclcheck(db, GetUserId(), ACL_CONNECT) != ACLCHECK_OK &&
	    !has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_DATABASE, get_database_name(db));
	return (int64)tarn_page_database_bytes(DEFAULTTABLESPACE_OID, db);
}

static Datum database_size(Oid db, FunctionCallInfo fcinfo)
{
	int64 bytes = database_bytes(db);
	if (bytes == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(bytes);
}

static Datum database_size_oid(PG_FUNCTION_ARGS)
{
	return database_size(PG_GETARG_OID(0), fcinfo);
}

static Datum database_size_name(PG_FUNCTION_ARGS)
{
	return database_size(get_database_oid(NameStr(*PG_GETARG_NAME(0)), false), fcinfo);
}

static Datum tablespace_size(Oid spc, FunctionCallInfo fcinfo)
{
	if (spc != MyDatabaseTableSpace &&
	    !has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) &&
	    pg_tablespace_aclcheck(spc, GetUserId(), ACL_CREATE) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLESPACE, get_tablespace_name(spc));
	if (spc != DEFAULTTABLESPACE_OID && spc != GLOBALTABLESPACE_OID)
		PG_RETURN_NULL();
	PG_RETURN_INT64((int64)tarn_page_database_bytes(spc, InvalidOid));
}

static Datum tablespace_size_oid(PG_FUNCTION_ARGS)
{
	return tablespace_size(PG_GETARG_OID(0), fcinfo);
}

static Datum tablespace_size_name(PG_FUNCTION_ARGS)
{
	return tablespace_size(get_tablespace_oid(NameStr(*PG_GETARG_NAME(0)), false), fcinfo);
}

/* ---- commands ---- */

static void refuse_tablespace(void)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("tablespaces are not supported by Tarn"),
			errdetail("Tables live in the object store, not in directories.")));
}

static bool sets_tablespace(const AlterDatabaseStmt *s)
{
	ListCell *cell;
	foreach(cell, s->options) if (strcmp(((DefElem *)lfirst(cell))->defname, "tablespace") ==
				      0) return true;
	return false;
}

static void on_utility(PlannedStmt *stmt, const char *query, bool read_only,
		       ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *env,
		       DestReceiver *dest, QueryCompletion *completion)
{
	Node *node = stmt->utilityStmt;
	Oid dropped = InvalidOid;
	if (IsA(node, CreateTableSpaceStmt) ||
	    (IsA(node, AlterDatabaseStmt) && sets_tablespace((AlterDatabaseStmt *)node)))
		refuse_tablespace();
	if (IsA(node, DropdbStmt))
		dropped = get_database_oid(((DropdbStmt *)node)->dbname, true);
	(next_utility ? next_utility : standard_ProcessUtility)(stmt, query, read_only, context,
								params, env, dest, completion);
	/* A copy of files changed every page of the new database at once, before it can be used. */
	if (IsA(node, CreatedbStmt))
		tarn_last_written_raise_all(tarn_newest_record_end());
	if (OidIsValid(dropped))
		tarn_database_forget(dropped);
}

void tarn_database_init(void)
{
	if (tarn_pageserver[0] == '\0')
		return;
	tarn_take_over_function(2332, "pg_relation_size", relation_size);
	tarn_take_over_function(2997, "pg_table_size", table_size);
	tarn_take_over_function(2998, "pg_indexes_size", indexes_size);
	tarn_take_over_function(2286, "pg_total_relation_size", total_relation_size);
	tarn_take_over_function(2324, "pg_database_size_oid", database_size_oid);
	tarn_take_over_function(2168, "pg_database_size_name", database_size_name);
	tarn_take_over_function(2322, "pg_tablespace_size_oid", tablespace_size_oid);
	tarn_take_over_function(2323, "pg_tablespace_size_name", tablespace_size_name);
	next_utility = ProcessUtility_hook;
	ProcessUtility_hook = on_utility;
}
