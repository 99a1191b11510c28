/* session_file.c - a session's past, as bytes: a head, the tokens, the last row of logits, what the cache holds (kv_file.c),
 * and a hash over all of it. */
#include "api/api_inner.h"

static const char MAGIC[8] = {'c', 'h', 'o', 'r', 'd', 'p', 's', 't'};
#define VERSION 1u

/* Little endian, without holes. */
typedef struct past_head {
    char magic[8];
    uint64_t model, kind; /* digests: of the file; of what else results depend on */
    uint32_t version, vocabulary;
    uint32_t tokens, evaluated; /* of the text; those that the cache knows */
    uint32_t has_logits, reserved;
} past_head;
_Static_assert(sizeof(past_head) == 48, "one layout everywhere");

/* ---- saving ------------------------------------------------------------------------------------- */

static bool has_last_logits(const chord_session *s, uint32_t evaluated)
{
    return s->has_logits && evaluated == s->count;
}

static uint32_t evaluated_of(const chord_session *s)
{
    uint32_t length = (uint32_t)chord_min_u64(chord_sequence_length(s->sequence), s->count);
    return chord_sequence_saved_length(s->model->net, s->sequence, length);
}

static uint64_t saved_bytes(const chord_session *s)
{
    uint32_t evaluated = evaluated_of(s);
    uint64_t logits = has_last_logits(s, evaluated) ? s->model->vocabulary * sizeof(float) : 0;
    return sizeof(past_head) + s->count * sizeof(int32_t) + logits +
           chord_sequence_saved_bytes(s->model->net, s->sequence, evaluated) + sizeof(uint64_t);
}

chord_status chord_session_saved_bytes(chord_session *s, uint64_t *out, chord_error *err)
{
    CHORD_NEED(s, "the session");
    CHORD_NEED(out, "the place for the number of bytes");
    CHORD_TRY(chord_session_enter(s, err));
    *out = saved_bytes(s);
    return chord_session_leave(s, CHORD_OK);
}

/* Bytes on their way, in either direction. */
typedef struct passage {
    chord_on_past go;
    void *ud;
    chord_hash hash;
} passage;

static chord_status put(void *ud, void *bytes, size_t len, chord_error *err)
{
    passage *w = ud;
    chord_hash_add(&w->hash, bytes, len);
    return w->go(w->ud, bytes, len, err);
}

static chord_status save(chord_session *s, passage *w, chord_error *err)
{
    chord_model *m = s->model;
    past_head head = {.kind = chord_network_saved_kind(m->net),
                      .version = VERSION,
                      .vocabulary = m->vocabulary,
                      .tokens = s->count,
                      .evaluated = evaluated_of(s)};
    memcpy(head.magic, MAGIC, sizeof head.magic);
    head.has_logits = has_last_logits(s, head.evaluated);
    CHORD_TRY(chord_model_digest(m, &head.model, err));
    chord_hash_start(&w->hash);
    CHORD_TRY(put(w, &head, sizeof head, err));
    CHORD_TRY(put(w, s->tokens, s->count * sizeof *s->tokens, err));
    if (head.has_logits != 0) CHORD_TRY(put(w, s->logits, m->vocabulary * sizeof *s->logits, err));
    CHORD_TRY(chord_sequence_save(m->net, s->sequence, head.evaluated, put, w, err));
    uint64_t sum = chord_hash_end(&w->hash);
    return w->go(w->ud, &sum, sizeof sum, err);
}

chord_status chord_session_save(chord_session *s, chord_on_past write, void *ud, chord_error *err)
{
    CHORD_NEED(s, "the session");
    CHORD_NEED(write, "the function that writes");
    passage w = {.go = write, .ud = ud};
    CHORD_TRY(chord_session_enter(s, err));
    return chord_session_leave(s, save(s, &w, err));
}

/* ---- loading ------------------------------------------------------------------------------------ */

static chord_status get(void *ud, void *bytes, size_t len, chord_error *err)
{
    passage *r = ud;
    CHORD_TRY(r->go(r->ud, bytes, len, err));
    chord_hash_add(&r->hash, bytes, len);
    return CHORD_OK;
}

static chord_status check_head(const chord_session *s, const past_head *head, uint64_t digest, chord_error *err)
{
    const chord_model *m = s->model;
    if (memcmp(head->magic, MAGIC, sizeof head->magic) != 0)
        return chord_fail(err, CHORD_CORRUPT, "these bytes are no session that was saved");
    if (head->version != VERSION)
        return chord_fail(err, CHORD_UNSUPPORTED, "the session was saved in version %u of the layout, this is %u",
                          head->version, VERSION);
    if (head->model != digest || head->vocabulary != m->vocabulary)
        return chord_fail(err, CHORD_INVALID, "the session was saved with another model");
    if (head->kind != chord_network_saved_kind(m->net))
        return chord_fail(
            err, CHORD_INVALID,
            "the session was saved with another KV cache (--kv-type), or with a context on the other side "
            "of what the model was trained for");
    if (head->tokens > m->context_tokens)
        return chord_fail(err, CHORD_FULL, "the saved session has %u tokens, the context holds %u", head->tokens,
                          m->context_tokens);
    if (head->evaluated > head->tokens || (head->has_logits != 0 && head->evaluated != head->tokens))
        return chord_fail(err, CHORD_CORRUPT, "the saved session knows %u of %u tokens", head->evaluated, head->tokens);
    return CHORD_OK;
}

static chord_status check_tokens(const chord_session *s, uint32_t count, chord_error *err)
{
    for (uint32_t i = 0; i < count; i++)
        if (s->tokens[i] < 0 || (uint32_t)s->tokens[i] >= s->model->vocabulary)
            return chord_fail(err, CHORD_CORRUPT, "token %u of the saved session is %d, the vocabulary has %u", i,
                              (int)s->tokens[i], s->model->vocabulary);
    return CHORD_OK;
}

static chord_status load_parts(chord_session *s, const past_head *head, passage *r, chord_error *err)
{
    chord_model *m = s->model;
    uint64_t sum;
    CHORD_TRY(get(r, s->tokens, head->tokens * sizeof *s->tokens, err));
    CHORD_TRY(check_tokens(s, head->tokens, err));
    if (head->has_logits != 0) CHORD_TRY(get(r, s->logits, m->vocabulary * sizeof *s->logits, err));
    CHORD_TRY(chord_sequence_load(m->net, s->sequence, s->tokens, head->evaluated, get, r, err));
    CHORD_TRY(r->go(r->ud, &sum, sizeof sum, err));
    if (sum != chord_hash_end(&r->hash)) return chord_fail(err, CHORD_CORRUPT, "the saved session was damaged");
    return CHORD_OK;
}

static chord_status load(chord_session *s, passage *r, chord_error *err)
{
    past_head head;
    uint64_t digest;
    CHORD_TRY(chord_model_digest(s->model, &digest, err));
    chord_hash_start(&r->hash);
    CHORD_TRY(get(r, &head, sizeof head, err));
    CHORD_TRY(check_head(s, &head, digest, err));
    chord_session_forget(s);
    chord_status status = load_parts(s, &head, r, err);
    if (status != CHORD_OK) {
        chord_session_forget(s);
        return status;
    }
    s->count = head.tokens;
    s->has_logits = head.has_logits != 0;
    return CHORD_OK;
}

chord_status chord_session_load(chord_session *s, chord_on_past read, void *ud, chord_error *err)
{
    CHORD_NEED(s, "the session");
    CHORD_NEED(read, "the function that reads");
    passage r = {.go = read, .ud = ud};
    CHORD_TRY(chord_session_enter(s, err));
    return chord_session_leave(s, load(s, &r, err));
}
