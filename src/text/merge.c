/* merge.c - join neighbouring symbols, the best pair first, in O(n log n).
 *
 * The queue holds (priority, symbol) as one number. An entry is stale when the pair that starts at the symbol has
 * another priority by now; an old entry that happens to be equal comes at the same moment as the new one would, so it
 * may as well serve. Every join takes one entry and adds at most two: 2 * count entries are always enough. */
#include "text/vocab_inner.h"

chord_status chord_merger_reserve(chord_merger *m, uint32_t count, chord_error *err)
{
    if (count <= m->cap && m->memory != NULL) {
        m->count = count;
        return CHORD_OK;
    }
    chord_merger_free(m);
    uint64_t cap = chord_max_u64(count + count / 4ull, 256);
    /* queue first: it wants 8-byte alignment; one value more than symbols. */
    uint64_t bytes = cap * (2 * sizeof(uint64_t) + 4 * sizeof(uint32_t)) + sizeof(uint32_t);
    CHORD_TRY(chord_alloc(m->vocab->heap, bytes, "tokenising a text", &m->memory, err));
    m->queue = m->memory;
    m->value = (uint32_t *)(m->queue + 2 * cap);
    m->prev = m->value + cap + 1;
    m->next = m->prev + cap;
    m->priority = m->next + cap;
    m->cap = (uint32_t)cap;
    m->count = count;
    return CHORD_OK;
}

void chord_merger_free(chord_merger *m)
{
    chord_free(m->vocab->heap, m->memory);
    m->memory = NULL;
    m->cap = 0;
}

static void queue_push(chord_merger *m, uint64_t entry)
{
    uint64_t *queue = m->queue;
    uint32_t at = m->queue_count++;
    while (at > 0 && queue[(at - 1) / 2] > entry) {
        queue[at] = queue[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    queue[at] = entry;
}

static uint64_t queue_pop(chord_merger *m)
{
    uint64_t *queue = m->queue, best = queue[0], last = queue[--m->queue_count];
    uint32_t count = m->queue_count, at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= count) break;
        if (child + 1 < count && queue[child + 1] < queue[child]) child++;
        if (queue[child] >= last) break;
        queue[at] = queue[child];
        at = child;
    }
    queue[at] = last;
    return best;
}

static void look_at_pair(chord_merger *m, uint32_t left)
{
    uint32_t right = m->next[left];
    m->priority[left] = right == m->count ? CHORD_NO_PRIORITY : m->priority_of(m, left, right);
    if (m->priority[left] != CHORD_NO_PRIORITY) queue_push(m, (uint64_t)m->priority[left] << 32 | left);
}

void chord_merger_run(chord_merger *m)
{
    uint32_t none = m->count;
    m->queue_count = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        m->prev[i] = i == 0 ? none : i - 1;
        m->next[i] = i + 1;
    }
    for (uint32_t i = 0; i < m->count; i++) look_at_pair(m, i);
    while (m->queue_count > 0) {
        uint64_t entry = queue_pop(m);
        uint32_t left = (uint32_t)entry, priority = (uint32_t)(entry >> 32);
        if (m->priority[left] != priority) continue;
        uint32_t right = m->next[left];
        if (m->vocab->kind == CHORD_VOCAB_BPE) m->value[left] = m->vocab->merged[priority];
        m->next[left] = m->next[right];
        if (m->next[left] != none) m->prev[m->next[left]] = left;
        m->priority[right] = CHORD_NO_PRIORITY;
        if (m->prev[left] != none) look_at_pair(m, m->prev[left]);
        look_at_pair(m, left);
    }
}
