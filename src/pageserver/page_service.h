/*
 * Page service: the listener of the page protocol (wire/page_wire.h) and a thread per connection,
 * at most PAGE_SERVICE_MAX_CONNECTIONS. A thread takes all requests that have arrived, rebuilds
 * pages of neighbouring requests together and writes the answers in request order.
 *
 * A request that makes no sense inside the protocol is answered with ERROR; bytes that are not the
 * protocol end the connection, with the reason in the log.
 */
#ifndef TARN_PAGESERVER_PAGE_SERVICE_H
#define TARN_PAGESERVER_PAGE_SERVICE_H

#include "pageserver/pageserver.h"

#define PAGE_SERVICE_MAX_CONNECTIONS 512

struct page_service;
/* listen: as net_listen takes it. ps must live until page_service_stop. */
int page_service_start(struct pageserver *ps, const char *listen, struct tarn_metrics *metrics,
		       struct page_service **out, struct tarn_error *err);
/* The address in use, when listen had port 0. */
const char *page_service_address(const struct page_service *s);
/* Ends the connections after the request each is at. NULL is fine. */
void page_service_stop(struct page_service *s);

#endif
