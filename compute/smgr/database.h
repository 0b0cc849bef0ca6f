/*
 * What concerns whole databases and clusters: creating and dropping them, tablespaces, and the size
 * functions, which the server answers from files that are not here.
 */
#ifndef TARN_COMPUTE_DATABASE_H
#define TARN_COMPUTE_DATABASE_H

/* From _PG_init. */
void tarn_database_init(void);

#endif
