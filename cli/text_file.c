/* text_file.c - texts are read before the runtime counts what the process has taken, and never more of them than the
 * budget can bear: a text, its JSON, the rendered template and four bytes for each token stand beside each other. */
#include "text_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_SHARE 32 /* of the budget, while there are no weights yet */
#define CONTEXT_SHARE 256
#define TEXT_BYTES_MAX ((uint64_t)1 << 28)
#define TEMPLATE_BYTES_MAX ((uint64_t)1 << 20) /* as of a model's own */

static uint64_t budget_of(const cli_args *args)
{
    return args->memory_bytes != 0 ? args->memory_bytes : chord_memory_available_bytes();
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

size_t cli_prompt_bytes_max(const cli_args *args)
{
    return (size_t)least(budget_of(args) / CONTEXT_SHARE, TEXT_BYTES_MAX);
}

static uint64_t bytes_max(const cli_args *args, cli_text_kind kind)
{
    uint64_t share = least(budget_of(args) / TEXT_SHARE, TEXT_BYTES_MAX);
    if (kind == CLI_TEXT_PROMPT) return cli_prompt_bytes_max(args);
    return kind == CLI_TEXT_TEMPLATE ? least(share, TEMPLATE_BYTES_MAX) : share;
}

/* At most limit bytes and one more, which says that there are too many. */
static int read_all(FILE *file, size_t limit, char **text, size_t *len)
{
    size_t cap = limit < 16384 ? limit + 2 : 16384, used = 0, got;
    char *data = cli_alloc(NULL, cap);
    errno = 0;
    while ((got = fread(data + used, 1, cap - used - 1, file)) > 0) {
        used += got;
        if (used > limit) break;
        if (cap - used < 2) data = cli_alloc(data, cap = cap < limit / 2 ? cap * 2 : limit + 2);
    }
    int failed = ferror(file) ? (errno != 0 ? errno : EIO) : 0;
    data[used] = '\0';
    *text = data;
    *len = used;
    return failed;
}

static int check(const cli_args *args, cli_text_kind kind, const char *name, uint64_t limit, const char *text,
                 size_t len)
{
    char most[32], budget[32];
    bool text_kind = kind == CLI_TEXT_PROMPT || kind == CLI_TEXT_MESSAGES || kind == CLI_TEXT_TEMPLATE;
    if (len > limit)
        return cli_fail("%s is longer than %s, the most that a budget of %s has room for as %s", name,
                        cli_size_text(limit, most), cli_size_text(budget_of(args), budget),
                        kind == CLI_TEXT_PROMPT     ? "a prompt"
                        : kind == CLI_TEXT_TEMPLATE ? "a template"
                                                    : "a text");
    if (text_kind && len > 1 && (memcmp(text, "\xFF\xFE", 2) == 0 || memcmp(text, "\xFE\xFF", 2) == 0))
        return cli_fail("%s is UTF-16: what is read here is UTF-8", name);
    if (kind != CLI_TEXT_TEMPLATE) return CLI_OK;
    if (len == 0) return cli_fail("%s is empty: that is no template", name);
    if (strlen(text) != len) return cli_fail("%s is no template: its byte %zu is zero", name, strlen(text) + 1);
    return CLI_OK;
}

static void trim(cli_text_kind kind, char *text, size_t *len)
{
    if (kind != CLI_TEXT_PROMPT && kind != CLI_TEXT_CORPUS) return;
    if (*len > 0 && text[*len - 1] == '\n') --*len;
    if (kind == CLI_TEXT_PROMPT && *len > 0 && text[*len - 1] == '\r') --*len;
    text[*len] = '\0';
    if (kind == CLI_TEXT_PROMPT && *len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        memmove(text, text + 3, (*len -= 3) + 1);
}

int cli_read_text(const cli_args *args, cli_text_kind kind, const char *path, char **text, size_t *len)
{
    bool from_stdin = strcmp(path, "-") == 0;
    const char *name = from_stdin ? "stdin" : path;
    FILE *file = from_stdin ? stdin : fopen(path, "rb");
    if (file == NULL) return cli_fail("%s: %s", path, strerror(errno));
    uint64_t limit = bytes_max(args, kind);
    int failed = read_all(file, (size_t)limit, text, len);
    if (!from_stdin) fclose(file);
    int code = failed != 0 ? cli_fail("%s: %s", name, strerror(failed)) : check(args, kind, name, limit, *text, *len);
    if (code == CLI_OK) trim(kind, *text, len);
    else {
        free(*text);
        *text = NULL;
    }
    return code;
}
