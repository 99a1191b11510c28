/* rewrite.c - a model's file written anew, with its progress; left behind whole or not at all. */
#include "rewrite.h"

#include "parts.h"
#include "terminal.h"

bool cli_rewrite_progress(void *ud, uint64_t done, uint64_t total)
{
    cli_rewrite *r = ud;
    uint64_t now = cli_clock_ns();
    char line[128];
    if (now - r->shown_ns < 100000000) return true;
    r->shown_ns = now;
    snprintf(line, sizeof line, "%s  %3.0f %%  %.0f MB/s", r->what, 100 * (double)done / (double)total,
             (double)done * 1e3 / (double)(now - r->start_ns));
    cli_live_say(&r->open.live, line);
    return true;
}

void cli_rewrite_begin(cli_rewrite *r, const char *what)
{
    r->what = what;
    r->start_ns = cli_clock_ns();
}

int cli_rewrite_open(cli_rewrite *r, const char *path, chord_file **file, chord_file_info *info)
{
    chord_error err;
    chord_source source = {.uri = path};
    if (chord_file_open(r->open.runtime, &source, file, &err) != CHORD_OK) return cli_fail_with(&err);
    chord_file_describe(*file, info);
    return CLI_OK;
}

int cli_rewrite_run(cli_rewrite *r, const char *what,
                    chord_status (*make)(cli_rewrite *r, const chord_pack_target *target, chord_error *err))
{
    chord_error err;
    char line[64];
    const cli_args *args = r->args;
    chord_pack_target target = {.write = cli_parts_write};
    int code = cli_parts_start(args->words[0], args->model, args->force);
    if (code != CLI_OK) return code;
    cli_rewrite_begin(r, what);
    if (make(r, &target, &err) != CHORD_OK) code = cli_fail_with(&err);
    if (code == CLI_OK) {
        snprintf(line, sizeof line, "%s done; waiting for the disk", what);
        cli_live_say(&r->open.live, line);
        code = cli_parts_finish();
    }
    cli_live_clear(&r->open.live);
    if (code != CLI_OK) cli_parts_abandon();
    return code;
}
