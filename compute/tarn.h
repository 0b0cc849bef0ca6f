/*
 * tarn.so: the module that makes a stock Postgres a compute. Settings shared by its parts.
 * postgres.h comes first.
 */
#ifndef TARN_COMPUTE_TARN_H
#define TARN_COMPUTE_TARN_H

extern char *tarn_timeline;    /* 32 hex digits; "": not a compute */
extern char *tarn_safekeepers; /* "HOST:PORT,…"; "": commits are local */
extern char *tarn_pageserver;  /* "HOST:PORT"; "": relations are local files */

#endif
