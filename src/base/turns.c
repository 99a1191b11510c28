/* turns.c - a lock that is taken in order of arrival. */
#include "base/base.h"

void chord_turns_init(chord_turns *turns)
{
    *turns = (chord_turns){0};
    chord_mutex_init(&turns->mutex);
    chord_cond_init(&turns->moved);
}

void chord_turns_free(chord_turns *turns)
{
    CHORD_ASSERT(turns->first == NULL && turns->visitors == NULL);
    chord_cond_free(&turns->moved);
    chord_mutex_free(&turns->mutex);
}

static bool is_inside(const chord_turns *turns, uintptr_t thread)
{
    for (const chord_turn *t = turns->visitors; t != NULL; t = t->next_visitor)
        if (t->thread == thread) return true;
    return false;
}

chord_status chord_turns_enter(chord_turns *turns, chord_turn *mine, chord_error *err)
{
    chord_mutex_lock(&turns->mutex);
    *mine = (chord_turn){.next_visitor = turns->visitors, .thread = chord_thread_self()};
    bool nested = is_inside(turns, mine->thread);
    if (!nested) turns->visitors = mine;
    chord_mutex_unlock(&turns->mutex);
    if (!nested) return CHORD_OK;
    return chord_fail(err, CHORD_INVALID, "a callback of a running call may not start another call that computes");
}

void chord_turns_leave(chord_turns *turns, chord_turn *mine)
{
    chord_mutex_lock(&turns->mutex);
    chord_turn **at = &turns->visitors;
    while (*at != mine) at = &(*at)->next_visitor;
    *at = mine->next_visitor;
    chord_mutex_unlock(&turns->mutex);
}

static void line_up(chord_turns *turns, chord_turn *mine)
{
    chord_turn **end = &turns->first;
    while (*end != NULL) end = &(*end)->next;
    mine->next = NULL;
    *end = mine;
}

static void step_out(chord_turns *turns, chord_turn *mine)
{
    chord_turn **at = &turns->first;
    while (*at != mine) at = &(*at)->next;
    *at = mine->next;
    chord_cond_wake_all(&turns->moved);
}

static bool is_raised(const atomic_bool *flag) { return flag != NULL && atomic_load(flag); }

static chord_status await_turn(chord_turns *turns, chord_turn *mine, const atomic_bool *given_up, chord_error *err)
{
    line_up(turns, mine);
    while (turns->first != mine && !is_raised(given_up)) chord_cond_wait(&turns->moved, &turns->mutex);
    if (!is_raised(given_up)) return CHORD_OK;
    step_out(turns, mine);
    return chord_fail(err, CHORD_CANCELLED, "cancelled before the pass began");
}

chord_status chord_turns_take(chord_turns *turns, chord_turn *mine, const atomic_bool *given_up, chord_error *err)
{
    chord_mutex_lock(&turns->mutex);
    chord_status status = await_turn(turns, mine, given_up, err);
    chord_mutex_unlock(&turns->mutex);
    return status;
}

void chord_turns_give(chord_turns *turns, chord_turn *mine)
{
    chord_mutex_lock(&turns->mutex);
    step_out(turns, mine);
    chord_mutex_unlock(&turns->mutex);
}

void chord_turns_look(chord_turns *turns)
{
    chord_mutex_lock(&turns->mutex);
    chord_cond_wake_all(&turns->moved);
    chord_mutex_unlock(&turns->mutex);
}
