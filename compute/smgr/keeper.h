/*
 * The keeper: a background worker that, at a clean stop, logs what only this compute knows and would
 * like to find again: free space maps and the exact values of sequences.
 */
#ifndef TARN_COMPUTE_KEEPER_H
#define TARN_COMPUTE_KEEPER_H

/* From _PG_init: registers the worker if there is a pageserver. */
void tarn_keeper_init(void);

#endif
