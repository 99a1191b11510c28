/* models_inner.h - one model, opened and closed. */
#ifndef SERVER_MODELS_INNER_H
#define SERVER_MODELS_INNER_H

#include "models/models.h"

/* What it would take of the runtime's budget now. */
uint64_t served_bytes(const served *s);
/* Whether it could be opened alone. Reports its own failure, as the next. */
int served_check(served *s);
int served_open(served *s);
/* It is open now: with the mutex, since others look. */
void served_describe(served *s);
void served_close(served *s);

#endif
