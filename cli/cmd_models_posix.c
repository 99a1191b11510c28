/* cmd_models_posix.c - what lies in the cache. */
#include "json_out.h"
#include "terminal.h"

#include "options.h"

#include "fetch/fetch.h"

#include <string.h>

typedef struct listing {
    bool as_json;
    json_out j;
    uint64_t bytes;
    uint32_t count;
} listing;

static void print_entry(void *ud, const fetch_entry *e)
{
    listing *l = ud;
    char size[32], share[32] = "";
    l->bytes += e->have_bytes;
    l->count++;
    if (l->as_json) {
        json_open(&l->j, NULL, '{');
        json_text(&l->j, "source", e->source);
        json_text(&l->j, "path", e->path);
        json_text(&l->j, "sha256", e->sha256);
        json_u64(&l->j, "bytes", e->bytes);
        json_u64(&l->j, "have_bytes", e->have_bytes);
        json_bool(&l->j, "whole", e->whole);
        json_close(&l->j, '}');
        return;
    }
    if (!e->whole)
        snprintf(share, sizeof share, "  %.0f %% of it is here",
                 e->bytes != 0 ? 100 * (double)e->have_bytes / (double)e->bytes : 0);
    cli_print("%12s  %s%s\n", cli_size_text(e->bytes, size), e->source, share);
}

static int list(fetch *f, bool as_json)
{
    chord_error err;
    char size[32];
    listing l = {.as_json = as_json};
    int code;
    json_open(&l.j, NULL, '[');
    chord_status status = fetch_list(f, print_entry, &l, &err);
    json_close(&l.j, ']');
    if (status != CHORD_OK) code = cli_fail_with(&err);
    else if (as_json) code = json_print(&l.j);
    else {
        cli_print("%s%" PRIu32 " in %s, %s\n", l.count > 0 ? "\n" : "", l.count, fetch_folder(f),
                  cli_size_text(l.bytes, size));
        code = cli_finish_output();
    }
    json_free(&l.j);
    return code;
}

static int take_away(fetch *f, const char *source)
{
    chord_error err;
    char size[32];
    uint64_t freed;
    chord_status status = source != NULL ? fetch_remove(f, source, &freed, &err) : fetch_prune(f, &freed, &err);
    if (status != CHORD_OK) return cli_fail_with(&err);
    cli_print("%s are free again\n", cli_size_text(freed, size));
    return cli_finish_output();
}

static int run(const cli_args *args)
{
    fetch *f;
    chord_error err;
    const fetch_options options = {0};
    const char *what = args->model != NULL ? args->model : "list", *source = args->words[0];
    bool removes = strcmp(what, "remove") == 0, prunes = strcmp(what, "prune") == 0;
    if (!removes && !prunes && strcmp(what, "list") != 0)
        return cli_usage(&cli_models, "'%s' is none of list, remove and prune", what);
    if (removes && source == NULL) return cli_usage(&cli_models, "remove which model? as `chord models` names it");
    if (!removes && source != NULL) return cli_usage(&cli_models, "'%s' is one word too many", source);
    if (fetch_open(&options, &f, &err) != CHORD_OK) return cli_fail_with(&err);
    int code = removes || prunes ? take_away(f, source) : list(f, args->json);
    fetch_close(f);
    return code;
}

static const cli_option OPTIONS[] = {
    CLI_OPTION_JSON,
};

const cli_command cli_models = {
    .name = "models",
    .summary = "the models in the cache: list, remove SOURCE, prune",
    .usage = "[list | remove SOURCE | prune] [options]",
    .text =
        "Lists the models in the cache, with their sizes, under the names by which commands take them; those that other programs "
        "brought into Hugging Face's cache are among them. remove takes away what SOURCE names: one file of a repository, "
        "those with a TAG, or all of its models. prune takes away models of older revisions, and what is left of downloads that broke off.",
    .examples = "  chord models\n"
                "  chord models remove hf:Qwen/Qwen2.5-7B-Instruct-GGUF:Q8_0\n"
                "  chord models prune\n",
    .options = OPTIONS,
    .option_count = CLI_COUNT(OPTIONS),
    .words_max = 2,
    .reads = CLI_READS_NOTHING,
    .run = run,
};
