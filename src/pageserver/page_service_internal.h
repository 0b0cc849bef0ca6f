/* What page_service.c and page_requests.c share: one connection, owned by its thread. */
#ifndef TARN_PAGESERVER_PAGE_SERVICE_INTERNAL_H
#define TARN_PAGESERVER_PAGE_SERVICE_INTERNAL_H

#include "pageserver/page_service.h"
#include "pageserver/pageserver_internal.h"

struct page_conn {
	struct pageserver *ps;
	struct page_service *service;
	int fd;
	struct ps_timeline *tl; /* NULL: nothing is attached yet */
	struct tarn_id timeline;
	tarn_lsn history_lsn; /* of tl, as known at history_checked_us */
	uint64_t history_checked_us;
	struct tarn_buf in;    /* bytes that are no whole frame yet */
	struct tarn_buf out;   /* answers not yet written */
	struct tarn_buf pages; /* of the batch at hand */
	struct tarn_histogram *getpage_us;
	struct tarn_counter *requests[PAGE_MSG_BASEBACKUP + 1]; /* by type */
	struct tarn_counter *errors;
};

/* Handles the frame at hand and, if it is a GETPAGE, those that follow it in data as far as they
 * can be answered together. *used: bytes of data taken, 0 when there is no whole frame. An error ends
 * the connection. */
int page_conn_handle(struct page_conn *c, const uint8_t *data, size_t len, size_t *used,
		     struct tarn_error *err);
int page_conn_flush(struct page_conn *c, struct tarn_error *err);
bool page_service_stopping(const struct page_service *s);

#endif
