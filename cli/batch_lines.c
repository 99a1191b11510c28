/* batch_lines.c - lines with a bound in memory. */
#include "batch_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void batch_lines_start(batch_lines *l, FILE *file, size_t limit, uint64_t salt)
{
    memset(l, 0, sizeof *l);
    l->file = file;
    l->limit = limit;
    l->salt = salt;
}

static void hold(batch_lines *l, const char *bytes, size_t len)
{
    size_t room = l->limit - l->len, n = len < room ? len : room;
    if (l->text_cap < l->len + n + 1) {
        size_t more = (l->len + n + 1) * 2;
        l->text_cap = more < l->limit + 1 ? more : l->limit + 1;
        l->text = cli_alloc(l->text, l->text_cap);
    }
    memcpy(l->text + l->len, bytes, n);
    l->len += n;
    l->text[l->len] = '\0';
}

static bool fill(batch_lines *l)
{
    if (l->block_at < l->block_len) return true;
    errno = 0;
    l->block_at = 0;
    l->block_len = fread(l->block, 1, sizeof l->block, l->file);
    if (l->block_len == 0 && ferror(l->file)) l->failed = errno != 0 ? errno : EIO;
    return l->block_len > 0;
}

bool batch_lines_next(batch_lines *l)
{
    chord_hash hash;
    l->at += l->bytes + l->ended;
    l->bytes = l->len = 0;
    l->ended = false;
    chord_hash_start(&hash);
    chord_hash_add(&hash, &l->salt, sizeof l->salt);
    hold(l, "", 0);
    while (!l->ended && fill(l)) {
        const char *from = l->block + l->block_at;
        size_t rest = l->block_len - l->block_at;
        const char *newline = memchr(from, '\n', rest);
        size_t n = newline != NULL ? (size_t)(newline - from) : rest;
        if (n > 0) l->last = from[n - 1];
        hold(l, from, n);
        chord_hash_add(&hash, from, n);
        l->bytes += n;
        l->ended = newline != NULL;
        l->block_at += n + l->ended;
    }
    l->hash = chord_hash_end(&hash);
    l->number++;
    return l->failed == 0 && (l->ended || l->bytes > 0);
}

bool batch_lines_is_blank(const batch_lines *l) { return l->len == l->bytes && strspn(l->text, " \t\r") == l->len; }

void batch_lines_free(batch_lines *l)
{
    free(l->text);
    l->text = NULL;
}
