/* cmd_tokenize.c - text to token ids, and back. */
#include "open.h"
#include "prompt.h"
#include "terminal.h"
#include "text_file.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int print_ids(const cli_args *args, cli_open *o, const char *text, size_t len)
{
    int32_t *ids;
    size_t count;
    int code = cli_tokens(o->text, text, len, args->special ? CHORD_TOKENIZE_SPECIAL : CHORD_TOKENIZE_PLAIN, &ids,
                          &count);
    if (code != CLI_OK) return code;
    for (size_t i = 0; i < count; i++) cli_print("%s%" PRIi32, i > 0 ? " " : "", ids[i]);
    cli_put(stdout, "\n", 1);
    free(ids);
    return cli_finish_output();
}

/* "1 2 3", "1,2,3" or "[1, 2, 3]". */
static int parse_ids(const char *text, int32_t **ids, size_t *count)
{
    size_t cap = strlen(text) / 2 + 1;
    *ids = cli_alloc(NULL, cap * sizeof **ids);
    *count = 0;
    for (text += strspn(text, " ,[]\r\n\t"); *text != '\0'; text += strspn(text, " ,[]\r\n\t")) {
        char *end;
        long id = strtol(text, &end, 10);
        if (end == text || id < 0 || id > INT32_MAX) {
            free(*ids);
            *ids = NULL;
            return cli_usage(&cli_tokenize, "--ids takes token ids separated by spaces, not '%.40s'", text);
        }
        (*ids)[(*count)++] = (int32_t)id;
        text = end;
    }
    return CLI_OK;
}

static int print_text(const cli_args *args, cli_open *o, const int32_t *ids, size_t count)
{
    chord_error err;
    size_t cap = count * 16 + 64, len;
    char *text = cli_alloc(NULL, cap);
    chord_status status = chord_detokenize(o->text, ids, count, args->special, text, cap, &len, &err);
    if (status == CHORD_SHORT) {
        text = cli_alloc(text, cap = len);
        status = chord_detokenize(o->text, ids, count, args->special, text, cap, &len, &err);
    }
    if (status == CHORD_OK) {
        cli_put(stdout, text, len);
        if (isatty(STDOUT_FILENO)) cli_put(stdout, "\n", 1); /* elsewhere exactly the text */
    }
    free(text);
    return status == CHORD_OK ? cli_finish_output() : cli_fail_with(&err);
}

static int run_ids(const cli_args *args, cli_open *o)
{
    int32_t *ids;
    size_t count;
    int code = parse_ids(args->ids, &ids, &count);
    if (code == CLI_OK) code = cli_open_runtime(args, o);
    if (code == CLI_OK) code = cli_open_text(o, 0);
    if (code == CLI_OK) code = print_text(args, o, ids, count);
    free(ids);
    return code;
}

static int run_text(const cli_args *args, cli_open *o)
{
    char *text = NULL;
    size_t len = args->words[0] != NULL ? strlen(args->words[0]) : 0;
    int code = args->file != NULL ? cli_read_text(args, CLI_TEXT_BYTES, args->file, &text, &len) : CLI_OK;
    if (code == CLI_OK) code = cli_open_runtime(args, o);
    if (code == CLI_OK) code = cli_open_text(o, 0);
    if (code == CLI_OK) code = print_ids(args, o, text != NULL ? text : args->words[0], len);
    free(text);
    return code;
}

static int run(const cli_args *args)
{
    cli_open o = {0};
    if (args->model == NULL) return cli_usage(&cli_tokenize, "which model? give the path of a GGUF file");
    if ((args->words[0] != NULL) + (args->file != NULL) + (args->ids != NULL) != 1)
        return cli_usage(&cli_tokenize, "give one of: TEXT, --file F, --ids \"1 2 3\"");
    int code = args->ids != NULL ? run_ids(args, &o) : run_text(args, &o);
    cli_close(&o);
    return code;
}

static const cli_option OPTIONS[] = {
    {"--file", "-f", CLI_TEXT, CLI_FIELD(file), "F", "the text from a file, byte for byte, or - for stdin", 0, 0},
    {"--ids", NULL, CLI_TEXT, CLI_FIELD(ids), "IDS", "the other way: print the text of these ids", 0, 0},
    {"--special", NULL, CLI_FLAG, CLI_FIELD(special), NULL,
     "read special tokens in the text and add BOS and EOS as the model says; with --ids write special tokens out", 0,
     0},
    CLI_OPTION_MODEL,
};

const cli_command cli_tokenize = {
    .name = "tokenize",
    .summary = "text to token ids, and back",
    .usage = "MODEL (TEXT | --file F | --ids \"1 2 3\") [options]",
    .text =
        "Prints the token ids of a text on one line, or the text of token ids. Loads the vocabulary only, no weights.",
    .examples = "  chord tokenize model.gguf \"Hello world\"\n"
                "  chord tokenize model.gguf --ids \"9707 1879\"\n",
    .options = OPTIONS,
    .option_count = CLI_COUNT(OPTIONS),
    .words_max = 2,
    .reads = CLI_READS_HEADER,
    .run = run,
};
