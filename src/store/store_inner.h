/* store_inner.h - between the kinds of stores and the SIGBUS guard. */
#ifndef CHORD_STORE_INNER_H
#define CHORD_STORE_INNER_H

#include "store/store.h"

/* One zeroed block of bytes that begins with a chord_store and ends in a copy of name. */
chord_status chord_store_new(chord_heap *heap, size_t bytes, const char *name, const chord_store_ops *ops,
                             chord_store **out, chord_error *err);
/* One attempt, without the retry and the fault injector of the public call: for stores that wrap another one. */
chord_status chord_store_fetch_once(chord_store *store, uint64_t offset, size_t len, void *slot, size_t slot_bytes,
                                    uint8_t **data, chord_error *err);

#endif
