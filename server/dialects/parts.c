/* parts.c - what an answer has thought, said and called, kept for who tells it as a whole. */
#include "dialects/answer.h"

bool answer_is_hidden(const answer *an, const chord_reply_event *e)
{
    return e->part == CHORD_REPLY_REASONING && an->a->hide_thoughts;
}

static answer_part *new_part(answer *an, choice *c, const chord_reply_event *e)
{
    answer_part *part = ask_get(an->a, sizeof *part);
    if (part == NULL) return NULL;
    *part = (answer_part){.kind = e->part};
    chord_buffer_init(&part->text, an->a->s->heap, SIZE_MAX / 2);
    if (c->last != NULL) c->last->next = part;
    else c->parts = part;
    return c->last = part;
}

bool answer_add_part(answer *an, choice *c, const chord_reply_event *e)
{
    if (e->part == CHORD_REPLY_CALL_END || answer_is_hidden(an, e)) return true;
    bool goes_on = c->last != NULL && c->last->kind == e->part && e->part != CHORD_REPLY_CALL;
    answer_part *part = goes_on || e->part == CHORD_REPLY_ARGUMENTS ? c->last : new_part(an, c, e);
    if (part == NULL) return false;
    if (e->part == CHORD_REPLY_CALL) {
        char *name = ask_get(an->a, strlen(e->name) + 1);
        if (name == NULL) return false;
        part->name = memcpy(name, e->name, strlen(e->name));
        part->id = answer_call_id(an, c, e->call, e->id);
        return part->id != NULL;
    }
    return chord_buffer_append(&part->text, e->text, e->len, NULL) == CHORD_OK;
}

void answer_free_parts(answer *an)
{
    for (uint32_t i = 0; i < an->count; i++)
        for (answer_part *part = an->choices[i].parts; part != NULL; part = part->next) chord_buffer_free(&part->text);
}

const answer_part *answer_part_of(const answer_part *part, chord_reply_part kind)
{
    while (part != NULL && part->kind != kind) part = part->next;
    return part;
}

void answer_write_parts(const answer *an, const choice *c, writer *w, const char *key, chord_reply_part kind)
{
    chord_buffer all;
    chord_status status = CHORD_OK;
    chord_buffer_init(&all, an->a->s->heap, SIZE_MAX / 2);
    for (const answer_part *p = c->parts; (p = answer_part_of(p, kind)) != NULL && status == CHORD_OK; p = p->next)
        if (p->text.len > 0) status = chord_buffer_append(&all, p->text.data, p->text.len, &w->error);
    if (status == CHORD_OK) write_text_n(w, key, all.data != NULL ? all.data : "", all.len);
    else w->status = status;
    chord_buffer_free(&all);
}

const char *answer_call_id(answer *an, const choice *c, uint32_t call, const char *own)
{
    static const char SIGNS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", KIMI[] = "functions.";
    bool keep = own != NULL && strncmp(own, KIMI, sizeof KIMI - 1) == 0;
    size_t len = keep ? strlen(own) : 9;
    char *id = ask_get(an->a, len + 1);
    if (id == NULL) return NULL;
    if (keep) return memcpy(id, own, len);
    uint64_t parts[] = {chord_hash_of(an->id, strlen(an->id)), c->index, call};
    uint64_t hash = chord_hash_of(parts, sizeof parts);
    for (size_t i = 0; i < len; i++, hash /= sizeof SIGNS - 1) id[i] = SIGNS[hash % (sizeof SIGNS - 1)];
    return id;
}
