/* states.c - what the rules may be doing: closures over all that needs no byte, each set of doings known by one number. */
#include "grammar/states.h"

#define UNKNOWN (UINT32_MAX - 1)
#define WORK_MAX 16384u
#define STATES_LEAST 64u

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t x = (a ^ b * 0x9E3779B97F4A7C15u) * 0xFF51AFD7ED558CCDu;
    return x ^ x >> 32;
}

static uint64_t hash_of(chord_doing d) { return mix(d.node, d.frame + 1ull); }

/* ---- memory ------------------------------------------------------------------------------------------------- */

static uint32_t slots_for(uint32_t count)
{
    uint32_t slots = 16;
    while (slots < 2 * count) slots *= 2;
    return slots;
}

/* Sizes for so many states; gives the bytes that all takes, and places it in memory unless that is NULL. */
static uint64_t lay_out(chord_grammar_states *s, uint32_t state_max, char *memory)
{
    s->state_max = state_max;
    s->doing_max = state_max * 12 + WORK_MAX;
    s->frame_max = state_max * 4 + 1024;
    s->work_max = WORK_MAX;
    s->state_slot_count = slots_for(state_max);
    s->frame_slot_count = slots_for(s->frame_max);
    s->seen_slot_count = slots_for(WORK_MAX);
    uint64_t at = 0;
#define PLACE(field, count)                                             \
    do {                                                                \
        if (memory != NULL) s->field = (void *)(memory + at);           \
        at += chord_align_up((uint64_t)(count) * sizeof *s->field, 64); \
    } while (0)
    PLACE(states, state_max);
    PLACE(next, (uint64_t)state_max * s->rules->classes);
    PLACE(state_slots, s->state_slot_count);
    PLACE(doings, s->doing_max);
    PLACE(frames, s->frame_max);
    PLACE(frame_slots, s->frame_slot_count);
    PLACE(work, s->work_max);
    PLACE(seen_slots, s->seen_slot_count);
#undef PLACE
    return at;
}

static uint32_t states_within(const chord_rules *rules, uint64_t memory_bytes)
{
    chord_grammar_states s = {.rules = rules};
    uint32_t count = STATES_LEAST;
    while (count < 1u << 16 && lay_out(&s, count * 2, NULL) <= memory_bytes) count *= 2;
    return count;
}

uint64_t chord_grammar_states_bytes(const chord_rules *rules, uint64_t memory_bytes)
{
    chord_grammar_states s = {.rules = rules};
    return lay_out(&s, states_within(rules, memory_bytes), NULL);
}

static void clear(chord_grammar_states *s)
{
    memset(s->state_slots, 0, s->state_slot_count * sizeof *s->state_slots);
    memset(s->frame_slots, 0, s->frame_slot_count * sizeof *s->frame_slots);
    s->state_count = s->frame_count = 1;
    s->doing_count = 0;
    s->states[0] = (chord_state){0};
    s->full = false;
}

void chord_grammar_states_open(chord_grammar_states *s, const chord_rules *rules, void *memory, uint64_t bytes)
{
    *s = (chord_grammar_states){.rules = rules};
    (void)lay_out(s, states_within(rules, bytes), memory);
    memset(s->seen_slots, 0, s->seen_slot_count * sizeof *s->seen_slots);
    clear(s);
}

/* ---- stacks -------------------------------------------------------------------------------------------------- */

static uint32_t frame_for(chord_grammar_states *s, chord_frame f)
{
    uint32_t mask = s->frame_slot_count - 1;
    uint32_t slot = (uint32_t)mix(mix(f.node, f.count), f.parent) & mask;
    for (; s->frame_slots[slot] != 0; slot = (slot + 1) & mask) {
        const chord_frame *g = &s->frames[s->frame_slots[slot]];
        if (g->node == f.node && g->count == f.count && g->parent == f.parent) return s->frame_slots[slot];
    }
    if (s->frame_count == s->frame_max) {
        s->full = true;
        return 0;
    }
    s->frames[s->frame_count] = f;
    s->frame_slots[slot] = s->frame_count;
    return s->frame_count++;
}

/* ---- closures -------------------------------------------------------------------------------------------------- */

static void add(chord_grammar_states *s, uint32_t node, uint32_t frame)
{
    chord_doing d = {node, frame};
    uint32_t mask = s->seen_slot_count - 1, slot = (uint32_t)hash_of(d) & mask;
    for (; s->seen_slots[slot] != 0; slot = (slot + 1) & mask) {
        const chord_doing *other = &s->work[s->seen_slots[slot] - 1];
        if (other->node == node && other->frame == frame) return;
    }
    if (s->work_count == s->work_max) {
        s->full = true;
        return;
    }
    s->work[s->work_count++] = d;
    s->seen_slots[slot] = s->work_count;
}

/* The body of a count was read once more. */
static void count_on(chord_grammar_states *s, uint32_t frame)
{
    chord_frame f = s->frames[frame];
    const chord_node *node = &s->rules->nodes[f.node];
    const chord_count *count = &s->rules->counts[node->a];
    uint32_t read = f.count + 1;
    if (count->high == CHORD_RULES_MANY && read > count->low) read = count->low; /* more makes no difference */
    if (read >= count->low) add(s, node->b, f.parent);
    if (read < count->high) add(s, count->body, frame_for(s, (chord_frame){f.node, read, f.parent}));
}

static void follow(chord_grammar_states *s, chord_doing d)
{
    const chord_rules *r = s->rules;
    const chord_node *n = &r->nodes[d.node];
    switch (n->kind) {
    case CHORD_NODE_BYTES: return;
    case CHORD_NODE_SPLIT:
        for (uint32_t i = 0; i < n->b; i++) add(s, r->edges[n->a + i], d.frame);
        return;
    case CHORD_NODE_CALL: /* at a rule's end nothing is left to come back to */
        if (r->nodes[n->b].kind == CHORD_NODE_RETURN) add(s, n->a, d.frame);
        else add(s, n->a, frame_for(s, (chord_frame){n->b, CHORD_FRAME_RETURN, d.frame}));
        return;
    case CHORD_NODE_RETURN:
        if (d.frame == 0) s->ends = true;
        else add(s, s->frames[d.frame].node, s->frames[d.frame].parent);
        return;
    case CHORD_NODE_COUNT:
        if (r->counts[n->a].low == 0) add(s, n->b, d.frame);
        add(s, r->counts[n->a].body, frame_for(s, (chord_frame){d.node, 0, d.frame}));
        return;
    case CHORD_NODE_AGAIN: count_on(s, d.frame); return;
    }
}

static bool less(chord_doing a, chord_doing b) { return a.node != b.node ? a.node < b.node : a.frame < b.frame; }

static void sift_down(chord_doing *list, uint32_t at, uint32_t count)
{
    chord_doing item = list[at];
    for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && less(list[child], list[child + 1])) child++;
        if (!less(item, list[child])) break;
        list[at] = list[child];
    }
    list[at] = item;
}

static void sort(chord_doing *list, uint32_t count)
{
    for (uint32_t i = count / 2; i-- > 0;) sift_down(list, i, count);
    for (uint32_t i = count; i-- > 1;) {
        chord_doing last = list[i];
        list[i] = list[0];
        list[0] = last;
        sift_down(list, 0, i);
    }
}

/* The number of the state that does just this. */
static uint32_t state_for(chord_grammar_states *s, const chord_doing *list, uint32_t count, bool may_end)
{
    uint32_t mask = s->state_slot_count - 1;
    uint64_t hash = may_end;
    for (uint32_t i = 0; i < count; i++) hash = mix(hash, hash_of(list[i]));
    uint32_t slot = (uint32_t)hash & mask;
    for (; s->state_slots[slot] != 0; slot = (slot + 1) & mask) {
        const chord_state *t = &s->states[s->state_slots[slot]];
        if (t->count == count && t->may_end == may_end && memcmp(s->doings + t->first, list, count * sizeof *list) == 0)
            return s->state_slots[slot];
    }
    if (s->state_count == s->state_max || s->doing_max - s->doing_count < count) return CHORD_STATE_FULL;
    s->states[s->state_count] = (chord_state){s->doing_count, count, may_end};
    memcpy(s->doings + s->doing_count, list, count * sizeof *list);
    s->doing_count += count;
    uint32_t *next = s->next + (uint64_t)s->state_count * s->rules->classes;
    for (uint32_t i = 0; i < s->rules->classes; i++) next[i] = UNKNOWN;
    s->state_slots[slot] = s->state_count;
    return s->state_count++;
}

/* Of what was added. */
static uint32_t close_over(chord_grammar_states *s)
{
    uint32_t kept = 0;
    s->ends = false;
    for (uint32_t i = 0; i < s->work_count && !s->full; i++) follow(s, s->work[i]);
    for (uint32_t i = 0; i < s->work_count; i++) { /* forget what was seen */
        uint32_t mask = s->seen_slot_count - 1, slot = (uint32_t)hash_of(s->work[i]) & mask;
        for (; s->seen_slots[slot] != 0; slot = (slot + 1) & mask) s->seen_slots[slot] = 0;
    }
    for (uint32_t i = 0; i < s->work_count; i++)
        if (s->rules->nodes[s->work[i].node].kind == CHORD_NODE_BYTES) s->work[kept++] = s->work[i];
    s->work_count = 0;
    if (s->full) {
        s->full = false;
        return CHORD_STATE_FULL;
    }
    if (kept == 0 && !s->ends) return CHORD_STATE_DEAD;
    sort(s->work, kept);
    return state_for(s, s->work, kept, s->ends);
}

uint32_t chord_grammar_states_begin(chord_grammar_states *s)
{
    add(s, s->rules->root, 0);
    return close_over(s);
}

uint32_t chord_grammar_states_step(chord_grammar_states *s, uint32_t state, uint8_t byte)
{
    const chord_rules *r = s->rules;
    uint32_t class = r->class_of[byte], *next = &s->next[(uint64_t)state * r->classes + class];
    if (state == CHORD_STATE_DEAD || *next != UNKNOWN) return state == CHORD_STATE_DEAD ? state : *next;
    const chord_state *t = &s->states[state];
    for (uint32_t i = 0; i < t->count; i++) {
        const chord_doing *d = &s->doings[t->first + i];
        const chord_node *n = &r->nodes[d->node];
        if (r->sets[n->a].bits[class >> 6] >> (class & 63) & 1) add(s, n->b, d->frame);
    }
    uint32_t to = close_over(s);
    if (to != CHORD_STATE_FULL) *next = to;
    return to;
}

/* ---- making room ------------------------------------------------------------------------------------------------ */

/* Frames that this state's stacks have, moved down: parents first, so each finds its parent's new place. work gets the
 * state's doings. */
static void keep_frames(chord_grammar_states *s, const chord_state *t)
{
    uint32_t *moved = s->frame_slots; /* at least twice as many as frames */
    memset(moved, 0, s->frame_count * sizeof *moved);
    for (uint32_t i = 0; i < t->count; i++) {
        s->work[i] = s->doings[t->first + i];
        moved[s->work[i].frame] = 1;
    }
    for (uint32_t i = s->frame_count; i-- > 1;)
        if (moved[i] != 0) moved[s->frames[i].parent] = 1;
    uint32_t kept = 1;
    moved[0] = 0;
    for (uint32_t i = 1; i < s->frame_count; i++) {
        if (moved[i] == 0) continue;
        chord_frame f = s->frames[i];
        f.parent = moved[f.parent];
        s->frames[kept] = f;
        moved[i] = kept++;
    }
    for (uint32_t i = 0; i < t->count; i++) s->work[i].frame = moved[s->work[i].frame];
    s->frame_count = kept;
}

uint32_t chord_grammar_states_forget(chord_grammar_states *s, uint32_t state)
{
    chord_state t = s->states[state];
    if (state == CHORD_STATE_DEAD) {
        clear(s);
        return state;
    }
    keep_frames(s, &t);
    uint32_t frames = s->frame_count;
    clear(s);
    for (uint32_t i = 1; i < frames; i++) (void)frame_for(s, s->frames[i]); /* finds its own place again */
    sort(s->work, t.count);
    return state_for(s, s->work, t.count, t.may_end);
}
