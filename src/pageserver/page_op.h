/*
 * Operations of our own on pages that WAL records change without naming them: visibility-map bits
 * cleared by heap records, commit status and multixact pages, truncated map tails. Value of kind
 * PS_VALUE_OP. Made by ingest, applied by page reconstruction. Pure.
 */
#ifndef TARN_PAGESERVER_PAGE_OP_H
#define TARN_PAGESERVER_PAGE_OP_H

#include "base/buf.h"
#include "base/error.h"
#include "base/lsn.h"

/* Applies the operation in op to page (8192 bytes); sets the page's LSN to lsn where stock redo would. */
int page_op_apply(uint8_t *page, const uint8_t *op, size_t len, tarn_lsn lsn,
		  struct tarn_error *err);

#endif
