/* source_posix.c - sources by the rooms of fetch/. There is one model at a time that is read while it comes. */
#include "source.h"

#include "interrupt.h"
#include "live.h"
#include "rates.h"
#include "terminal.h"

#include "fetch/fetch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RATE_BYTES_LEAST (16u << 20) /* what came quicker says nothing of a link */
#define SHOW_NS 100000000u

static pthread_mutex_t line_mutex = PTHREAD_MUTEX_INITIALIZER; /* a download's threads have something to tell, too */
static struct {
    fetch *fetch;
    fetch_stream *stream;
    cli_remote remote;
    cli_live live;
    uint64_t shown_ns;
    char host[128];
    uint64_t came_bytes, came_ns, total_bytes; /* of what was brought last */
    void *reserve;
    char **paths; /* of files that were brought */
    size_t path_count;
    bool reads_header;
} now;

/* ---- what is told on the way ------------------------------------------------------------------------------- */

static void note(void *ud, const char *sentence)
{
    (void)ud;
    pthread_mutex_lock(&line_mutex);
    cli_live_clear(&now.live);
    cli_note("%s", sentence);
    pthread_mutex_unlock(&line_mutex);
}

static bool stopped(void *ud)
{
    (void)ud;
    return cli_interrupted();
}

/* "qwen.gguf 2/3  34 %  of 1.1 GiB  98 MB/s  12 s" */
static void show(void *ud, const fetch_progress *p)
{
    char line[300], part[32] = "", rate[64] = "", size[32];
    uint64_t clock = cli_clock_ns();
    (void)ud;
    now.came_bytes = p->came_bytes;
    now.came_ns = p->came_ns;
    now.total_bytes = p->total_bytes;
    if (!now.live.on || clock - now.shown_ns < SHOW_NS) return;
    now.shown_ns = clock;
    if (p->parts > 1) snprintf(part, sizeof part, " %u/%u", p->part + 1, p->parts);
    double bytes_per_s = p->came_ns > 0 ? (double)p->came_bytes * 1e9 / (double)p->came_ns : 0;
    if (p->waits) snprintf(rate, sizeof rate, "another process brings it");
    else if (bytes_per_s > 0)
        snprintf(rate, sizeof rate, "%.0f MB/s  %.0f s", bytes_per_s / 1e6,
                 (double)(p->total_bytes - p->done_bytes) / bytes_per_s);
    double share = p->total_bytes != 0 ? (double)p->done_bytes / (double)p->total_bytes : 0;
    snprintf(line, sizeof line, "%s%s  %3.0f %% of %s  %s", p->what, part, 100 * share,
             cli_size_text(p->total_bytes, size), rate);
    pthread_mutex_lock(&line_mutex);
    cli_live_say(&now.live, line);
    pthread_mutex_unlock(&line_mutex);
}

static void say_kept(void)
{
    cli_live_clear(&now.live);
    cli_note("what came is kept: the same command goes on there");
}

/* ---- beginning ------------------------------------------------------------------------------------------------ */

static int open_fetch(const cli_args *args)
{
    chord_error err;
    fetch_options options = {.offline = args->offline,
                             .no_cache = args->no_cache,
                             .allow_http = args->allow_http,
                             .patience_seconds = args->patience,
                             .note = note,
                             .progress = show,
                             .stopped = stopped};
    if (now.fetch != NULL) return CLI_OK;
    cli_live_start(&now.live);
    return fetch_open(&options, &now.fetch, &err) == CHORD_OK ? CLI_OK : cli_fail_with(&err);
}

static void keep_rate(uint64_t bytes, uint64_t ns)
{
    if (bytes >= RATE_BYTES_LEAST && ns > 0) cli_rates_keep_network(now.host, (double)bytes * 1e9 / (double)ns);
}

static const char *keep_path(const char *path)
{
    now.paths = cli_alloc(now.paths, (now.path_count + 1) * sizeof *now.paths);
    now.paths[now.path_count] = cli_alloc(NULL, strlen(path) + 1);
    return strcpy(now.paths[now.path_count++], path);
}

static int bring(const char *source, bool newest, const char **path)
{
    static char found[FETCH_PATH_BYTES];
    chord_error err;
    char size[32];
    now.came_bytes = 0;
    cli_interrupt_before_exit(say_kept);
    chord_status status = fetch_bring(now.fetch, source, newest, found, &err);
    cli_interrupt_before_exit(NULL);
    cli_live_clear(&now.live);
    if (status != CHORD_OK) return cli_fail_with(&err);
    keep_rate(now.came_bytes, now.came_ns);
    if (now.came_bytes > 0)
        cli_note("%s: %s came in %.1f s (%.0f MB/s)", source, cli_size_text(now.came_bytes, size),
                 (double)now.came_ns / 1e9, (double)now.came_bytes * 1e3 / (double)now.came_ns);
    *path = keep_path(found);
    return CLI_OK;
}

int cli_source_file(const cli_args *args, const char **path)
{
    const char *source = *path;
    if (!fetch_is_remote(source)) return CLI_OK;
    int code = open_fetch(args);
    if (code != CLI_OK) return code;
    fetch_host(now.fetch, source, now.host, sizeof now.host);
    return bring(source, args->newest, path);
}

/* Connections take memory that nobody counts: it is taken before the runtime looks at what the process has, and given back
 * then. */
static void hold_reserve(void)
{
    now.reserve = mmap(NULL, FETCH_RESERVE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (now.reserve == MAP_FAILED) now.reserve = NULL;
    else memset(now.reserve, 1, FETCH_RESERVE_BYTES);
}

void cli_source_settled(void)
{
    if (now.reserve != NULL) munmap(now.reserve, FETCH_RESERVE_BYTES);
    now.reserve = NULL;
}

static void take_stream(cli_args *args, const char *source)
{
    fetch_progress progress;
    fetch_stream_progress(now.stream, &progress);
    now.remote.source = source;
    now.remote.kept = !args->no_cache;
    now.remote.total_bytes = progress.total_bytes;
    now.remote.missing_bytes = progress.total_bytes - progress.done_bytes;
    now.remote.bytes_per_s = cli_rates_network(now.host);
    memcpy(now.remote.host, now.host, sizeof now.host);
    args->reader = fetch_stream_source(now.stream);
    args->model = args->no_cache ? source : fetch_stream_path(now.stream);
    hold_reserve();
}

/* While it comes, where that is possible; else all of it first. */
static int begin_model(const cli_command *command, cli_args *args)
{
    chord_error err;
    bool found;
    static char path[FETCH_PATH_BYTES];
    const char *source = args->model;
    fetch_host(now.fetch, source, now.host, sizeof now.host);
    chord_status status = fetch_cached(now.fetch, source, &found, path, &err);
    if (status != CHORD_OK) return cli_fail_with(&err);
    if (found) {
        args->model = path;
        return CLI_OK;
    }
    bool streams = command->reads != CLI_READS_FILE && args->mode != CHORD_MODE_MAPPED;
    if (!streams && args->no_cache)
        return cli_usage(command, "--no-cache: here the model must lie in a file: leave it away, or `chord pull %s`",
                         source);
    if (!streams) return bring(source, false, &args->model);
    now.reads_header = command->reads == CLI_READS_HEADER;
    status = fetch_stream_open(now.fetch, source, !now.reads_header, &now.stream, &err);
    if (status == CHORD_OK) take_stream(args, source);
    if (status == CHORD_OK) return CLI_OK;
    if (status != CHORD_UNSUPPORTED || args->no_cache || !fetch_is_possible(now.fetch)) return cli_fail_with(&err);
    cli_note("%s", err.text);
    return bring(source, false, &args->model);
}

int cli_source_begin(const cli_command *command, cli_args *args)
{
    int code = CLI_OK;
    bool model = fetch_is_remote(args->model), draft = fetch_is_remote(args->draft);
    if (command->reads == CLI_READS_NOTHING || (!model && !draft)) return CLI_OK;
    if (draft && args->no_cache) return cli_usage(command, "--no-cache: a draft model must lie in a file");
    code = open_fetch(args);
    if (code == CLI_OK && draft) code = cli_source_file(args, &args->draft);
    if (code == CLI_OK && model) code = begin_model(command, args);
    return code;
}

const cli_remote *cli_source_remote(void) { return now.stream != NULL ? &now.remote : NULL; }

/* ---- the end -------------------------------------------------------------------------------------------------------- */

void cli_source_let_go(void)
{
    if (now.stream != NULL) fetch_stream_let_go(now.stream);
}

static int finish_stream(void)
{
    chord_error err;
    fetch_progress progress;
    cli_interrupt_before_exit(say_kept);
    chord_status status = fetch_stream_finish(now.stream, &err);
    cli_interrupt_before_exit(NULL);
    cli_live_clear(&now.live);
    if (status != CHORD_OK) return cli_fail_with(&err);
    fetch_stream_progress(now.stream, &progress);
    keep_rate(progress.came_bytes, now.came_ns);
    return CLI_OK;
}

static void tell_rest(void)
{
    fetch_progress p;
    fetch_stream_progress(now.stream, &p);
    if (p.total_bytes == 0 || !now.remote.kept) return;
    cli_note("%.0f %% of %s is kept; `chord pull` brings the rest", 100 * (double)p.done_bytes / (double)p.total_bytes,
             now.remote.source);
}

int cli_source_end(int code)
{
    if (now.stream != NULL && code == CLI_OK && !now.reads_header && now.remote.kept) code = finish_stream();
    else if (now.stream != NULL && !now.reads_header) tell_rest();
    fetch_stream_close(now.stream);
    fetch_close(now.fetch);
    now.stream = NULL;
    now.fetch = NULL;
    while (now.path_count > 0) free(now.paths[--now.path_count]);
    free(now.paths);
    now.paths = NULL;
    cli_source_settled();
    return code;
}
