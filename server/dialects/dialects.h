/* dialects.h - what each path does. Each takes the request. */
#ifndef SERVER_DIALECTS_H
#define SERVER_DIALECTS_H

#include "ask/ask.h"

/* The handler and the refuser of wire_config; ud: served. */
void dialects_handle(void *ud, wire_request *request);
void dialects_refuse(void *ud, wire_request *request, uint32_t status, const char *sentence);

#endif
