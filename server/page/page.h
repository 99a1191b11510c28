/* page.h - the chat page at /, whose files (web/page) are built into the program. It asks the paths of the dialects, and nobody
 * else. */
#ifndef SERVER_PAGE_H
#define SERVER_PAGE_H

#include "wire/wire.h"

/* Whether it is a file of the page: "/", "/page/main.js". */
bool page_has(const char *path);
/* Replies with such a file, to GET or HEAD. */
void page_reply(wire_request *request, chord_heap *heap);

/* ---- what is built in: page_files.c, by embed.cmake ------------------------------------------------------- */

typedef struct page_file {
    const char *path, *type, *etag;
    const uint8_t *plain, *packed; /* packed: by gzip */
    size_t plain_bytes, packed_bytes;
} page_file;
extern const page_file page_files[];
extern const size_t page_file_count;

#endif
