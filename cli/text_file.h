/* text_file.h - prompts, messages, templates and texts, from files or stdin. */
#ifndef CLI_TEXT_FILE_H
#define CLI_TEXT_FILE_H

#include "options.h"

typedef enum cli_text_kind {
    CLI_TEXT_PROMPT,   /* an editor's final newline and byte-order mark are not part of it */
    CLI_TEXT_MESSAGES, /* JSON */
    CLI_TEXT_TEMPLATE, /* Jinja: a C string, and never empty */
    CLI_TEXT_CORPUS,   /* only the final newline goes, as llama-perplexity has it */
    CLI_TEXT_BYTES     /* as it is */
} cli_text_kind;

/* All of a file, or of stdin for "-"; terminated, free() it. More than the budget has room for is not read but refused;
 * so is UTF-16 where text is needed. Reports its own failure. */
int cli_read_text(const cli_args *args, cli_text_kind kind, const char *path, char **text, size_t *len);

/* The most bytes that a text for the context may have: a token in the context costs kilobytes of cache, its text a few
 * bytes, so what is longer than a 256th of the budget fills every context that this budget has room for. */
size_t cli_prompt_bytes_max(const cli_args *args);

#endif
