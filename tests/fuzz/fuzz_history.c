/* Arbitrary bytes as a history file: it is bounded, can be gone through, and a line that is added stands last when it is
 * opened again. The first byte says how far to go, the rest is the file. */
#include "fuzz.h"
#include "line_inner.h"

#include <unistd.h>

static char folder[] = "/tmp/fuzz-history-XXXXXX", path[64];

static void leave(void)
{
    unlink(path);
    rmdir(folder);
}

static void write_file(const uint8_t *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    MUST(file != NULL && fwrite(data, 1, size, file) == size && fclose(file) == 0);
}

static void check_bounds(const line_history *h)
{
    size_t bytes = 0;
    for (size_t i = 0; i < h->count; i++) bytes += strlen(h->lines[i]);
    MUST(h->count <= LINE_HISTORY_MAX && h->at <= h->count);
    MUST(bytes == h->bytes && bytes <= LINE_HISTORY_BYTES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    line_history h;
    line_text text = {.bytes_max = 1 << 16};
    char added[64] = "";
    if (size == 0) return 0;
    if (path[0] == '\0') {
        MUST(mkdtemp(folder) != NULL);
        snprintf(path, sizeof path, "%s/history", folder);
        atexit(leave);
    }
    write_file(data + 1, size - 1);
    line_history_open(&h, path);
    check_bounds(&h);
    line_set(&text, "being typed");
    for (int i = 0; i < data[0] % 64; i++) line_history_go(&h, &text, i % 5 == 4 ? 1 : -1);
    while (h.at < h.count) line_history_go(&h, &text, 1);
    MUST(strcmp(text.data, "being typed") == 0);
    snprintf(added, sizeof added, "%.*s", (int)(size < 40 ? size : 40), (const char *)data); /* any bytes but zero */
    line_history_add(&h, added);
    check_bounds(&h);
    line_history_close(&h);
    line_history_open(&h, path);
    check_bounds(&h);
    MUST(h.count > 0 && strcmp(h.lines[h.count - 1], added) == 0);
    line_history_close(&h);
    free(text.data);
    return 0;
}
