/* models.c - which models are open, and who waits for one. */
#include "models/models_inner.h"

#include "source.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>

/* ---- whose turn it is; the mutex is held -------------------------------------------------------------------- */

static void append(models *all, models_turn *turn)
{
    models_turn **end = &all->line;
    while (*end != NULL) end = &(*end)->next;
    turn->next = NULL;
    *end = turn;
}

static void leave(models *all, const models_turn *turn)
{
    models_turn **at = &all->line;
    while (*at != turn) at = &(*at)->next;
    *at = turn->next;
    chord_cond_wake_all(&all->moved);
}

void models_gone(void *ud)
{
    models_turn *turn = ud;
    chord_mutex_lock(&turn->all->mutex);
    turn->gone = true;
    chord_cond_wake_all(&turn->all->moved);
    chord_mutex_unlock(&turn->all->mutex);
}

static chord_status may_wait(const models *all, const models_turn *turn, chord_error *err)
{
    if (turn->gone) return chord_fail(err, CHORD_CANCELLED, "cancelled");
    if (all->stopping) return chord_fail(err, CHORD_FULL, "the server is being shut down");
    return CHORD_OK;
}

/* ---- room; of whoever is first in the line, with the mutex held --------------------------------------------- */

static served *least_used(models *all)
{
    served *found = NULL;
    for (uint32_t i = 0; i < all->count; i++) {
        served *s = &all->each[i];
        if (!s->is_open || s->users > 0) continue;
        if (found == NULL || s->used_ns < found->used_ns) found = s;
    }
    return found;
}

static void close_one(served *s)
{
    models *all = s->all;
    engine_counts counts;
    engine_counts_get(s->engine, &counts);
    engine_counts_past(&counts);
    engine_counts_add(&all->closed, &counts);
    s->is_open = false;
    chord_mutex_unlock(&all->mutex);
    served_close(s);
    chord_mutex_lock(&all->mutex);
}

/* Beside others a model is opened only where all of it finds room: else they would take turns in reading. */
static bool has_room(served *wanted)
{
    const models *all = wanted->all;
    uint64_t taken = 0;
    wanted->share_bytes = 0;
    for (uint32_t i = 0; i < all->count; i++) taken += all->each[i].is_open ? all->each[i].bytes : 0;
    if (taken >= all->free_bytes) return taken == 0;
    wanted->share_bytes = taken > 0 ? all->free_bytes - taken : 0;
    wanted->bytes = served_bytes(wanted);
    return taken == 0 || wanted->bytes < wanted->share_bytes;
}

static chord_status make_room(served *wanted, const models_turn *turn, chord_error *err)
{
    models *all = wanted->all;
    while (!has_room(wanted)) {
        CHORD_TRY(may_wait(all, turn, err));
        served *s = least_used(all);
        if (s != NULL) close_one(s);
        else chord_cond_wait(&all->moved, &all->mutex);
    }
    return may_wait(all, turn, err);
}

static chord_status open_one(served *wanted, const models_turn *turn, chord_error *err)
{
    models *all = wanted->all;
    CHORD_TRY(make_room(wanted, turn, err));
    chord_mutex_unlock(&all->mutex);
    int code = served_open(wanted);
    chord_mutex_lock(&all->mutex);
    if (code == CLI_OK) served_describe(wanted);
    if (code == CLI_OK) return CHORD_OK;
    return chord_fail(err, CHORD_IO, "the model '%s' cannot be opened; the server's log says why", wanted->name);
}

chord_status models_take(served *wanted, models_turn *turn, chord_error *err)
{
    models *all = wanted->all;
    chord_status status = CHORD_OK;
    chord_mutex_lock(&all->mutex);
    append(all, turn);
    while (all->line != turn && (status = may_wait(all, turn, err)) == CHORD_OK)
        chord_cond_wait(&all->moved, &all->mutex);
    if (status == CHORD_OK && !wanted->is_open) status = open_one(wanted, turn, err);
    if (status == CHORD_OK) {
        wanted->users++;
        wanted->used_ns = chord_clock_ns();
    }
    leave(all, turn);
    chord_mutex_unlock(&all->mutex);
    return status;
}

uint32_t models_users(served *s)
{
    chord_mutex_lock(&s->all->mutex);
    uint32_t users = s->users;
    chord_mutex_unlock(&s->all->mutex);
    return users;
}

void models_give(served *s)
{
    chord_mutex_lock(&s->all->mutex);
    s->users--;
    s->used_ns = chord_clock_ns();
    chord_cond_wake_all(&s->all->moved);
    chord_mutex_unlock(&s->all->mutex);
}

/* ---- what is there ------------------------------------------------------------------------------------------- */

served *models_find(models *all, const char *name)
{
    if (all->count == 1) return &all->each[0];
    for (uint32_t i = 0; i < all->count; i++)
        if (chord_text_equal(all->each[i].name, name)) return &all->each[i];
    return NULL;
}

served *models_recent(models *all)
{
    served *found = &all->each[0];
    chord_mutex_lock(&all->mutex);
    for (uint32_t i = 1; i < all->count; i++) {
        served *s = &all->each[i];
        if (s->is_open && (!found->is_open || s->used_ns > found->used_ns)) found = s;
    }
    chord_mutex_unlock(&all->mutex);
    return found;
}

void models_info(served *s, served_info *out)
{
    chord_mutex_lock(&s->all->mutex);
    *out = (served_info){s->info, s->sessions, s->has_template, s->is_open};
    chord_mutex_unlock(&s->all->mutex);
}

void models_counts(models *all, engine_counts *out)
{
    chord_mutex_lock(&all->mutex);
    *out = all->closed;
    for (uint32_t i = 0; i < all->count; i++) {
        engine_counts counts;
        if (!all->each[i].is_open) continue;
        engine_counts_get(all->each[i].engine, &counts);
        engine_counts_add(out, &counts);
    }
    chord_mutex_unlock(&all->mutex);
}

/* ---- beginning and end --------------------------------------------------------------------------------------- */

void models_init(models *all)
{
    chord_mutex_init(&all->mutex);
    chord_cond_init(&all->moved);
    engine_counts_init(&all->closed);
}

/* By the file's name, without its folders and end. */
static void name_one(served *s, const char *alias)
{
    const char *slash = strrchr(s->path, '/'), *from = slash != NULL ? slash + 1 : s->path;
    if (alias != NULL) from = alias;
    size_t len = strlen(from);
    if (alias == NULL && len > 5 && strcmp(from + len - 5, ".gguf") == 0) len -= 5;
    snprintf(s->name, sizeof s->name, "%.*s", (int)len, from);
}

int models_name(models *all, const cli_args *args)
{
    for (uint32_t i = 0; i < all->count; i++) {
        served *s = &all->each[i];
        chord_mutex_init(&s->reading);
        int code = i > 0 ? cli_source_file(args, &s->path) : CLI_OK;
        if (code != CLI_OK) return code;
        name_one(s, args->alias);
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(all->each[k].name, s->name) == 0)
                return cli_fail("two models have the name '%s': clients could not tell them apart", s->name);
    }
    all->each[0].reader = args->reader;
    return CLI_OK;
}

/* Which of them can be opened is known before the first request. */
int models_start(models *all, const cli_args *args, uint64_t reserved_bytes)
{
    cli_open o;
    all->args = args;
    all->reserved_bytes = reserved_bytes;
    int code = cli_open_runtime(args, &o);
    all->runtime = o.runtime;
    for (uint32_t i = 0; i < all->count && all->count > 1 && code == CLI_OK; i++) code = served_check(&all->each[i]);
    if (all->count > 1 && code == CLI_OK) (void)has_room(&all->each[0]);
    if (code == CLI_OK) code = served_open(&all->each[0]);
    if (code != CLI_OK) return code;
    chord_mutex_lock(&all->mutex);
    served_describe(&all->each[0]);
    chord_mutex_unlock(&all->mutex);
    atomic_store(&all->ready, true);
    return CLI_OK;
}

/* Those who wait for room have none of the models; those who have one come to an end with its engine. */
void models_stop(models *all, uint64_t drain_ns)
{
    uint64_t until_ns = chord_clock_ns() + drain_ns, now_ns;
    chord_mutex_lock(&all->mutex);
    all->stopping = true;
    chord_cond_wake_all(&all->moved);
    while (all->line != NULL) chord_cond_wait(&all->moved, &all->mutex);
    chord_mutex_unlock(&all->mutex);
    for (uint32_t i = 0; i < all->count; i++) {
        now_ns = chord_clock_ns();
        if (all->each[i].is_open) engine_stop(all->each[i].engine, until_ns > now_ns ? until_ns - now_ns : 0);
    }
}

void models_close(models *all)
{
    cli_source_let_go();
    for (uint32_t i = 0; i < all->count; i++) served_close(&all->each[i]);
    for (uint32_t i = 0; i < all->count; i++) chord_mutex_free(&all->each[i].reading);
    chord_runtime_close(all->runtime);
    chord_cond_free(&all->moved);
    chord_mutex_free(&all->mutex);
}
