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

/* The guard (guard_posix.c): mappings whose SIGBUS is ours. */
bool chord_guard_installed(void);
bool chord_guard_add(const void *base, uint64_t bytes); /* false: the list is full */
void chord_guard_remove(const void *base);
bool chord_guard_take_failed(const void *base);

#endif
