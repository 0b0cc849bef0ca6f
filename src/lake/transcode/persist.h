/*
 * Bases in the object store, so that a restart derives from the last one instead of writing every
 * table again: LOCATION/state/<lsn>-<random>.base. Derived states are not kept: they are cheap.
 *
 * Format, little-endian: PERSIST_MAGIC, the state's fields as persist.c puts them, and at the end the
 * XXH3 of all that. A change of what values become in files needs a new PERSIST_MAGIC too. Another version's or a damaged object is an error, and the table gets a new base.
 */
#ifndef TARN_LAKE_TRANSCODE_PERSIST_H
#define TARN_LAKE_TRANSCODE_PERSIST_H

#include "lake/transcode/state.h"

#define PERSIST_MAGIC 0x31424C54u /* "TLB1" */

/* Also removes those of earlier bases, but for the newest of them. */
int transcode_base_save(const struct transcode_env *env, const struct transcode_state *base,
			struct tarn_error *err);
/* The newest one at or before lsn. *out is NULL when there is none, or when it is of another
 * relation or its files cannot be read with the schema, of which the outline is enough. */
int transcode_base_load(const struct transcode_env *env, const struct transcode_schema *schema,
			tarn_lsn lsn, struct transcode_state **out, struct tarn_error *err);

#endif
