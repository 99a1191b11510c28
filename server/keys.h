/* keys.h - API keys from a file, one a line. */
#ifndef SERVER_KEYS_H
#define SERVER_KEYS_H

#include "options.h"
#include "wire/wire.h"

/* Keys are the guard's; free(guard->keys). Reports its own failure. */
int server_read_keys(const char *path, wire_guard *guard);

#endif
