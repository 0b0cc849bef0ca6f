/* Shared by value.c and value_text.c. */
#ifndef TARN_LAKE_VALUE_INTERNAL_H
#define TARN_LAKE_VALUE_INTERNAL_H

#include "lake/value.h"

/* pg_type.dat of Postgres 15 */
enum pg_type_oid {
	PG_BOOL = 16,
	PG_BYTEA = 17,
	PG_CHAR = 18,
	PG_NAME = 19,
	PG_INT8 = 20,
	PG_INT2 = 21,
	PG_INT2VECTOR = 22,
	PG_INT4 = 23,
	PG_TEXT = 25,
	PG_OID = 26,
	PG_TID = 27,
	PG_XID = 28,
	PG_CID = 29,
	PG_OIDVECTOR = 30,
	PG_JSON = 114,
	PG_XML = 142,
	PG_POINT = 600,
	PG_LSEG = 601,
	PG_PATH = 602,
	PG_BOX = 603,
	PG_POLYGON = 604,
	PG_LINE = 628,
	PG_CIDR = 650,
	PG_FLOAT4 = 700,
	PG_FLOAT8 = 701,
	PG_CIRCLE = 718,
	PG_MACADDR8 = 774,
	PG_MONEY = 790,
	PG_MACADDR = 829,
	PG_INET = 869,
	PG_BPCHAR = 1042,
	PG_VARCHAR = 1043,
	PG_DATE = 1082,
	PG_TIME = 1083,
	PG_TIMESTAMP = 1114,
	PG_TIMESTAMPTZ = 1184,
	PG_INTERVAL = 1186,
	PG_TIMETZ = 1266,
	PG_BIT = 1560,
	PG_VARBIT = 1562,
	PG_NUMERIC = 1700,
	PG_UUID = 2950,
	PG_LSN = 3220,
	PG_JSONB = 3802,
	PG_XID8 = 5069
};

#define LAKE_TYPE_MAX_DEPTH 8 /* arrays of composites of arrays … */

/* How a value of the type lies in a tuple. */
struct pg_attr lake_type_attr(const struct lake_type *t);
/* Can the text of its values be printed, all parts of them? t is not a domain. */
bool lake_type_printable(const struct lake_database *db, const struct lake_type *t, int depth);
/* The payload: detoasted if of variable length. */
int lake_payload(const struct lake_type *t, struct lake_reader *r, struct pg_datum d,
		 const uint8_t **bytes, uint32_t *len, struct tarn_error *err);
/* Appends what the type's output function prints. t may be a domain. */
int lake_type_text(const struct lake_database *db, const struct lake_type *t, struct lake_reader *r,
		   struct pg_datum d, struct tarn_buf *out, struct tarn_error *err);
/* Those of one built-in scalar type; TARN_E_UNSUPPORTED for another. (value_scalar.c) */
int lake_scalar_text(uint32_t type_oid, const uint8_t *bytes, uint32_t len, struct tarn_buf *out,
		     struct tarn_error *err);
bool lake_scalar_printable(uint32_t type_oid);

#endif
