/* carrier.c - the thread that brings blocks: several requests at once through one libcurl handle. */
#include "pull.h"

#define RUN_NS (2 * FETCH_SECOND_NS) /* what one request is to take */
#define RUN_BLOCKS_MAX 16u
#define ADDRESSES_MAX FETCH_SLOTS /* addresses asked for anew without a byte in between */
#define CHANGES_MAX 3
#define IDLE_MS 1000
#define ERROR_BODY_BYTES 65536

/* ---- what comes -------------------------------------------------------------------------------------------- */

static fetch_verdict judge(const fetch_slot *s, const fetch_answer *a)
{
    const fetch_origin *o = &s->pull->origin;
    if (a->status != 200 && a->status != 206) return FETCH_REFUSED;
    if (a->compressed) return FETCH_WRONG;
    if (fetch_origin_differs(o, a->etag)) return FETCH_CHANGED;
    if (!o->ranges) return a->status == 200 && (!a->has_length || a->length == o->bytes) ? FETCH_GOOD : FETCH_WRONG;
    if (a->status == 200) return FETCH_NO_RANGES;
    return a->has_range && a->range_first == s->at && a->range_end == s->end && a->of_bytes == o->bytes ? FETCH_GOOD
                                                                                                        : FETCH_WRONG;
}

static uint64_t block_end(const fetch_pull *p, uint32_t block)
{
    return (uint64_t)block * FETCH_BLOCK_BYTES + fetch_part_block_bytes(&p->part, block);
}

/* Whole blocks are told to who waits for them. */
static void mark(fetch_slot *s)
{
    fetch_pull *p = s->pull;
    while (s->block < s->end_block && s->at >= block_end(p, s->block)) {
        chord_mutex_lock(&p->mutex);
        p->blocks[s->block] = FETCH_BLOCK_HERE;
        p->here++;
        fetch_part_mark(&p->part, s->block);
        chord_cond_wake_all(&p->moved);
        chord_mutex_unlock(&p->mutex);
        fetch_part_flush(&p->part, s->block++);
    }
}

static bool take_bytes(void *ud, const fetch_answer *a, const uint8_t *bytes, size_t len)
{
    fetch_slot *s = ud;
    fetch_pull *p = s->pull;
    if (s->transfer.body_bytes == 0) s->verdict = judge(s, a);
    if (s->verdict == FETCH_REFUSED) return s->transfer.body_bytes < ERROR_BODY_BYTES;
    if (s->verdict == FETCH_GOOD && len > s->end - s->at) s->verdict = FETCH_WRONG;
    if (s->verdict != FETCH_GOOD) return false;
    if (fetch_part_write(&p->part, s->at, bytes, len, &s->error) != CHORD_OK) {
        s->verdict = FETCH_NOT_KEPT;
        return false;
    }
    s->at += len;
    s->patience = (fetch_patience){0};
    p->asked_anew = 0;
    chord_mutex_lock(&p->mutex);
    p->came_bytes += len;
    chord_mutex_unlock(&p->mutex);
    mark(s);
    return true;
}

/* ---- what is asked for ---------------------------------------------------------------------------------------- */

/* Neighbours that nobody brings; what somebody waits for goes alone, so that it comes soon. Under the mutex. */
static bool choose_run(fetch_pull *p, fetch_slot *s, uint32_t running_ahead)
{
    uint32_t blocks = p->part.blocks, most = 1, first;
    if (!p->origin.ranges) {
        if (running_ahead > 0 || p->here == blocks || (!p->ahead && p->wanted == 0)) return false;
        first = 0;
        most = blocks;
    } else if (p->wanted > 0) {
        const uint8_t *at = memchr(p->blocks, FETCH_BLOCK_WANTED, blocks);
        first = (uint32_t)(at - p->blocks);
    } else {
        if (!p->ahead || running_ahead >= FETCH_AHEAD_SLOTS) return false;
        while (p->cursor < blocks && p->blocks[p->cursor] != FETCH_BLOCK_FREE) p->cursor++;
        if (p->cursor == blocks) return false;
        first = p->cursor;
        uint32_t share = (blocks - p->here) / (2 * FETCH_AHEAD_SLOTS); /* all shall end at the same time */
        most = (uint32_t)chord_max_u64(1, chord_min_u64(p->run_blocks, share));
    }
    s->block = s->end_block = first;
    while (s->end_block < blocks && s->end_block - first < most &&
           (p->blocks[s->end_block] == FETCH_BLOCK_FREE || p->blocks[s->end_block] == FETCH_BLOCK_WANTED)) {
        if (p->blocks[s->end_block] == FETCH_BLOCK_WANTED) p->wanted--;
        p->blocks[s->end_block++] = FETCH_BLOCK_BUSY;
    }
    return true;
}

static chord_status start(fetch_pull *p, fetch_slot *s, chord_error *err)
{
    const fetch_origin *o = &p->origin;
    s->verdict = FETCH_GOOD;
    s->start_ns = chord_clock_ns();
    s->address = p->address;
    const char *token = p->job.token[0] != '\0' && fetch_same_origin(o->url, p->job.url) ? p->job.token : NULL;
    fetch_request r = {.url = o->url,
                       .ranged = o->ranges,
                       .first = s->at,
                       .end = s->end,
                       .if_range = o->ranges && o->strong ? o->etag : NULL,
                       .token = token,
                       .sink = take_bytes,
                       .ud = s};
    CHORD_TRY(fetch_transfer_prepare(&s->transfer, p->f, &r, err));
    if (p->f->library.multi_add_handle(p->multi, s->transfer.easy) != FETCH_CURL_OK)
        return chord_fail(err, CHORD_NO_MEMORY, "no memory for one more request to %s", s->transfer.host);
    s->running = true;
    return CHORD_OK;
}

static bool is_busy(const fetch_slot *s) { return s->block < s->end_block; }

/* Every connection that is free gets something to bring, or goes on with what broke off. */
static chord_status fill(fetch_pull *p, chord_error *err)
{
    uint64_t now = chord_clock_ns();
    uint32_t busy = 0;
    for (uint32_t i = 0; i < FETCH_SLOTS; i++) busy += is_busy(&p->slots[i]);
    for (uint32_t i = 0; i < FETCH_SLOTS; i++) {
        fetch_slot *s = &p->slots[i];
        if (s->running || s->not_before_ns > now) continue;
        if (!is_busy(s)) {
            chord_mutex_lock(&p->mutex);
            bool chosen = choose_run(p, s, busy);
            chord_mutex_unlock(&p->mutex);
            if (!chosen) continue;
            s->at = (uint64_t)s->block * FETCH_BLOCK_BYTES;
            s->end = block_end(p, s->end_block - 1);
            busy++;
        }
        CHORD_TRY(start(p, s, err));
    }
    return CHORD_OK;
}

/* ---- what went wrong -------------------------------------------------------------------------------------------- */

/* What the connections were at is for somebody else. */
static void stop_all(fetch_pull *p)
{
    for (uint32_t i = 0; i < FETCH_SLOTS; i++) {
        fetch_slot *s = &p->slots[i];
        if (s->running) p->f->library.multi_remove_handle(p->multi, s->transfer.easy);
        s->running = false;
        s->block = s->end_block;
    }
}

/* Nothing that came is of use. */
static chord_status begin_anew(fetch_pull *p, chord_error *err)
{
    stop_all(p);
    chord_mutex_lock(&p->mutex);
    memset(p->blocks, FETCH_BLOCK_FREE, p->part.blocks);
    p->wanted = p->here = p->hashed = p->cursor = 0;
    p->hash_round++;
    chord_status status = fetch_part_forget(&p->part, err);
    chord_cond_wake_all(&p->moved); /* who waits for a block asks again */
    chord_mutex_unlock(&p->mutex);
    return status;
}

static chord_status changed(fetch_pull *p, const fetch_origin *now, chord_error *err)
{
    chord_mutex_lock(&p->mutex);
    bool was_read = p->was_read;
    chord_mutex_unlock(&p->mutex);
    if (was_read || ++p->changes > CHANGES_MAX || now->bytes != p->origin.bytes || p->job.sha256[0] != '\0')
        return chord_fail(
            err, CHORD_IO,
            "%.160s has changed on the server while it came (%s, then %s): nothing of both is mixed; begin again",
            p->job.what, p->origin.etag[0] != '\0' ? p->origin.etag : "no ETag",
            now->etag[0] != '\0' ? now->etag : "no ETag");
    fetch_note(p->f, "%s has changed on the server: it is brought from its beginning", p->job.what);
    p->origin = *now;
    return begin_anew(p, err);
}

/* The address is no good any more, which another request may have found out first, or another file lies there. What the hub
 * vouches for is the same under any ETag. */
static chord_status ask_anew(fetch_pull *p, fetch_slot *s, chord_error *err)
{
    fetch_origin now;
    if (s->address != p->address) return CHORD_OK;
    if (++p->asked_anew > ADDRESSES_MAX) return fetch_fail_status(&s->transfer.answer, p->job.what, err);
    CHORD_TRY(fetch_origin_find(p->f, &p->job, &p->asking, &now, err));
    p->address++;
    if (!now.vouched && (!fetch_origin_same(&p->origin, &now) || s->verdict == FETCH_CHANGED))
        return changed(p, &now, err);
    now.ranges = now.ranges && p->origin.ranges;
    p->origin = now;
    return p->origin.ranges ? CHORD_OK : begin_anew(p, err);
}

static chord_status without_ranges(fetch_pull *p, chord_error *err)
{
    fetch_note(p->f, "%s: the server gives no parts of it after all: it is brought in one piece", p->job.what);
    p->origin.ranges = false;
    return begin_anew(p, err);
}

/* Soon, as long as bytes come; else after a while, if it is worth it. *err says why already. */
static chord_status try_again(fetch_pull *p, fetch_slot *s, const fetch_answer *answer, chord_error *err)
{
    uint64_t wait_ns = fetch_patience_ns(p->f) / 480;
    bool brought = s->verdict == FETCH_GOOD && s->transfer.body_bytes > 0;
    if (!brought && !fetch_try_again(&s->patience, p->f, answer, s->transfer.host, &wait_ns)) return err->status;
    s->not_before_ns = chord_clock_ns() + wait_ns;
    return p->origin.ranges ? CHORD_OK : begin_anew(p, err);
}

static bool is_address(long status)
{
    return status == 400 || status == 401 || status == 403 || status == 404 || status == 410 || status == 416;
}

static chord_status fail_wrong(const fetch_slot *s, chord_error *err)
{
    const fetch_answer *a = &s->transfer.answer;
    if (a->compressed)
        return chord_fail(err, CHORD_IO, "%s sends it compressed, which was not asked for", s->transfer.host);
    return chord_fail(err, CHORD_IO,
                      "%s: bytes %" PRIu64 " to %" PRIu64
                      " were asked for, and something else came (status %ld, %" PRIu64 " to %" PRIu64 " of %" PRIu64
                      ")",
                      s->transfer.host, s->at, s->end - 1, a->status, a->range_first,
                      a->range_end != 0 ? a->range_end - 1 : 0, a->of_bytes);
}

/* A request has ended: why, and what follows. */
static chord_status take_end(fetch_pull *p, fetch_slot *s, int result, chord_error *err)
{
    const fetch_answer *a = &s->transfer.answer;
    s->running = false;
    if (s->transfer.body_bytes == 0 && a->status != 0) s->verdict = judge(s, a);
    chord_status status = fetch_transfer_result(&s->transfer, result, err);
    if (s->at == s->end) return CHORD_OK;
    if (status == CHORD_CANCELLED) return status;
    switch (s->verdict) {
    case FETCH_NOT_KEPT: *err = s->error; return err->status;
    case FETCH_CHANGED: return ask_anew(p, s, err);
    case FETCH_NO_RANGES: return without_ranges(p, err);
    case FETCH_WRONG: (void)fail_wrong(s, err); return try_again(p, s, NULL, err);
    case FETCH_REFUSED:
        if (is_address(a->status)) return ask_anew(p, s, err);
        (void)fetch_fail_status(a, p->job.what, err);
        return try_again(p, s, a, err);
    case FETCH_GOOD: break;
    }
    if (status == CHORD_OK)
        (void)chord_fail(err, CHORD_IO, "%s ended %" PRIu64 " bytes too early", s->transfer.host, s->end - s->at);
    return try_again(p, s, NULL, err);
}

/* As many blocks as take two seconds. */
static void learn(fetch_pull *p, const fetch_slot *s)
{
    uint64_t ns = chord_max_u64(1, chord_clock_ns() - s->start_ns);
    double blocks = (double)s->transfer.body_bytes / FETCH_BLOCK_BYTES * (double)RUN_NS / (double)ns;
    p->run_blocks = blocks < 1 ? 1 : blocks > RUN_BLOCKS_MAX ? RUN_BLOCKS_MAX : (uint32_t)blocks;
}

static chord_status take_ends(fetch_pull *p, chord_error *err)
{
    const fetch_library *l = &p->f->library;
    fetch_curl_message *m;
    chord_status status = CHORD_OK;
    int left;
    while (status == CHORD_OK && (m = l->multi_info_read(p->multi, &left)) != NULL) {
        char *ud = NULL;
        int result = m->data.result;
        if (m->message != FETCH_CURL_DONE) continue;
        l->easy_getinfo(m->easy, FETCH_CURL_INFO_PRIVATE, &ud);
        fetch_slot *s = p->slots;
        while (&s->transfer != (fetch_transfer *)(void *)ud) s++;
        l->multi_remove_handle(p->multi, m->easy);
        status = take_end(p, s, result, err);
        if (status == CHORD_OK && s->transfer.body_bytes >= FETCH_BLOCK_BYTES) learn(p, s);
    }
    return status;
}

/* ---- the thread ------------------------------------------------------------------------------------------------------ */

void fetch_pull_fail(fetch_pull *p, const chord_error *why)
{
    chord_mutex_lock(&p->mutex);
    if (p->error.status == CHORD_OK) p->error = *why;
    chord_cond_wake_all(&p->moved);
    chord_mutex_unlock(&p->mutex);
}

static bool goes_on(fetch_pull *p)
{
    chord_mutex_lock(&p->mutex);
    bool on = !p->over && p->error.status == CHORD_OK && p->here < p->part.blocks;
    chord_mutex_unlock(&p->mutex);
    return on && !fetch_stopped(p->f);
}

static int wait_ms(const fetch_pull *p)
{
    uint64_t now = chord_clock_ns(), soonest = now + IDLE_MS * 1000000ull;
    for (uint32_t i = 0; i < FETCH_SLOTS; i++)
        if (!p->slots[i].running && p->slots[i].not_before_ns > now)
            soonest = chord_min_u64(soonest, p->slots[i].not_before_ns);
    return (int)((soonest - now + 999999) / 1000000);
}

void fetch_carry(void *ud)
{
    fetch_pull *p = ud;
    const fetch_library *l = &p->f->library;
    chord_error err = {.status = CHORD_OK};
    chord_status status = CHORD_OK;
    int running, ready;
    p->run_blocks = 1;
    while (status == CHORD_OK && goes_on(p)) {
        status = fill(p, &err); /* what is new begins at once: then nothing is waited for */
        if (status == CHORD_OK) l->multi_poll(p->multi, NULL, 0, wait_ms(p), &ready);
        l->multi_perform(p->multi, &running);
        if (status == CHORD_OK) status = take_ends(p, &err);
    }
    stop_all(p);
    if (status == CHORD_OK && fetch_stopped(p->f)) status = fetch_fail_stopped(&err);
    if (status != CHORD_OK) fetch_pull_fail(p, &err);
}
