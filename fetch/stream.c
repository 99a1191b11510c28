/* stream.c - a model that is read while it comes. */
#include "bring.h"
#include "direct.h"

#include <fcntl.h>
#include <unistd.h>

/* One of its files: on its way, not kept, or there. */
typedef struct stream_part {
    fetch_stream *stream;
    fetch_pull *pull;
    fetch_direct *direct;
    int fd;
    chord_source source;
} stream_part;

struct fetch_stream {
    fetch *f;
    fetch_model model;
    uint64_t start_ns;
    chord_mutex mutex;
    bool told; /* why a read failed; once */
    stream_part parts[];
};

/* ---- reading -------------------------------------------------------------------------------------------------- */

static chord_status read_file(const stream_part *p, uint64_t offset, void *bytes, size_t len, chord_error *err)
{
    for (char *to = bytes; len > 0;) {
        ssize_t n = pread(p->fd, to, len, (off_t)offset);
        if (n <= 0) return chord_fail(err, CHORD_IO, "cannot read %.200s", p->stream->model.jobs[0].path);
        to += n, offset += (uint64_t)n, len -= (size_t)n;
    }
    return CHORD_OK;
}

static chord_status read_part(void *ud, uint64_t offset, void *bytes, size_t len)
{
    const stream_part *p = ud;
    fetch_stream *s = p->stream;
    chord_error err;
    chord_status status = p->pull != NULL     ? fetch_pull_read(p->pull, offset, bytes, len, &err)
                          : p->direct != NULL ? fetch_direct_read(p->direct, offset, bytes, len, &err)
                                              : read_file(p, offset, bytes, len, &err);
    if (status == CHORD_OK || status == CHORD_CANCELLED) return status;
    chord_mutex_lock(&s->mutex);
    bool told = s->told;
    s->told = true;
    chord_mutex_unlock(&s->mutex);
    if (!told) fetch_note(s->f, "%s", err.text);
    return status;
}

/* ---- opening ------------------------------------------------------------------------------------------------------ */

static chord_status open_part(fetch_stream *s, uint32_t i, bool ahead, chord_error *err)
{
    stream_part *p = &s->parts[i];
    fetch_job *job = &s->model.jobs[i];
    if (!job->here && s->f->options.no_cache) {
        CHORD_TRY(fetch_direct_open(s->f, job, &p->direct, err));
        job->bytes = fetch_direct_bytes(p->direct);
    } else if (!job->here) {
        CHORD_TRY(fetch_pull_open(s->f, job, ahead, true, &p->pull, err));
        if (p->pull != NULL) job->bytes = p->pull->job.bytes;
        else job->here = fetch_file_bytes(job->path, &job->bytes);
    }
    if (p->pull == NULL && p->direct == NULL && (p->fd = open(job->path, O_RDONLY | O_CLOEXEC)) < 0)
        return chord_fail(err, CHORD_IO, "cannot read %.200s", job->path);
    p->source = (chord_source){.read = read_part, .size_bytes = job->bytes, .ud = p, .name = job->what};
    if (i > 0) s->parts[i - 1].source.next = &p->source;
    return CHORD_OK;
}

/* One file after the other comes ahead of what is read. */
static chord_status open_parts(fetch_stream *s, bool ahead, chord_error *err)
{
    fetch_pull *before = NULL;
    for (uint32_t i = 0; i < s->model.count; i++) {
        CHORD_TRY(open_part(s, i, ahead && before == NULL, err));
        fetch_pull *pull = s->parts[i].pull;
        if (pull == NULL) continue;
        if (before != NULL && ahead) fetch_pull_follow(before, pull);
        before = pull;
    }
    return CHORD_OK;
}

chord_status fetch_stream_open(fetch *f, const char *source, bool ahead, fetch_stream **out, chord_error *err)
{
    fetch_model model;
    *out = NULL;
    CHORD_TRY(fetch_find(f, source, &model, err));
    if (model.count > FETCH_STREAM_PARTS_MAX && !f->options.no_cache) {
        fetch_model_free(&model);
        return chord_fail(err, CHORD_UNSUPPORTED, "%.200s has %u files: they are brought before they are used", source,
                          model.count);
    }
    fetch_stream *s = calloc(1, sizeof *s + model.count * sizeof *s->parts);
    if (s == NULL) {
        fetch_model_free(&model);
        return chord_fail(err, CHORD_NO_MEMORY, "no memory for a download");
    }
    s->f = f;
    s->model = model;
    s->start_ns = chord_clock_ns();
    chord_mutex_init(&s->mutex);
    for (uint32_t i = 0; i < model.count; i++) s->parts[i] = (stream_part){.stream = s, .fd = -1};
    chord_status status = open_parts(s, ahead, err);
    if (status == CHORD_OK) *out = s;
    else fetch_stream_close(s);
    return status;
}

const chord_source *fetch_stream_source(const fetch_stream *s) { return &s->parts[0].source; }

const char *fetch_stream_path(const fetch_stream *s)
{
    return s->f->options.no_cache ? "" : fetch_model_path(&s->model);
}

/* ---- how far it is, and its end ------------------------------------------------------------------------------------- */

void fetch_stream_progress(fetch_stream *s, fetch_progress *out)
{
    *out = (fetch_progress){.what = s->model.jobs[0].what, .parts = s->model.count};
    for (uint32_t i = 0; i < s->model.count; i++) {
        stream_part *p = &s->parts[i];
        fetch_progress one = {.total_bytes = p->source.size_bytes, .done_bytes = p->source.size_bytes};
        if (p->pull != NULL) fetch_pull_progress(p->pull, &one);
        if (p->direct != NULL) one.done_bytes = 0, one.came_bytes = fetch_direct_came(p->direct);
        out->done_bytes += one.done_bytes;
        out->total_bytes += one.total_bytes;
        out->came_bytes += one.came_bytes;
    }
    out->came_ns = chord_clock_ns() - s->start_ns;
}

chord_status fetch_stream_finish(fetch_stream *s, chord_error *err)
{
    if (s->f->options.no_cache) return CHORD_OK;
    for (uint32_t i = 0; i < s->model.count; i++)
        if (s->parts[i].pull != NULL) CHORD_TRY(fetch_finish_job(s->f, s->parts[i].pull, i, s->model.count, err));
    return fetch_model_keep(s->f, &s->model, err);
}

void fetch_stream_let_go(fetch_stream *s) { atomic_store(&s->f->readers_over, true); }

void fetch_stream_close(fetch_stream *s)
{
    if (s == NULL) return;
    for (uint32_t i = 0; i < s->model.count; i++) { /* a file before the one that follows it */
        fetch_pull_close(s->parts[i].pull);
        fetch_direct_close(s->parts[i].direct);
        if (s->parts[i].fd >= 0) close(s->parts[i].fd);
    }
    fetch_model_free(&s->model);
    chord_mutex_free(&s->mutex);
    free(s);
}
