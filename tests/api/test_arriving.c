/* A model whose file is still on its way: opening asks for nothing of its layers, a pass for what it has come to, and the answer is that of the
 * whole file. */
#include "check.h"
#include "chord.h"
#include "tiny_model.h"

/* Bytes from `from` to `to` have not come. */
typedef struct gate {
    const gguf_builder *b;
    uint64_t from, to;
} gate;

static chord_status read_what_came(void *ud, uint64_t offset, void *dst, size_t len)
{
    const gate *g = ud;
    uint64_t from = __atomic_load_n(&g->from, __ATOMIC_SEQ_CST);
    if (offset < g->to && offset + len > from) return CHORD_IO;
    return gb_read((void *)g->b, offset, dst, len);
}

typedef struct opened {
    chord_runtime *runtime;
    chord_model *model;
    chord_session *session;
} opened;

static chord_status open_model(const gate *g, bool arriving, opened *o, chord_error *err)
{
    chord_source source = {.read = read_what_came, .size_bytes = g->b->len, .ud = (void *)g};
    chord_runtime_options options = {.budget_bytes = 48ull << 20, .threads = 2};
    chord_model_options model = {.context_tokens = 64, .no_prefetch = true, .arriving = arriving};
    *o = (opened){0};
    chord_status status = chord_runtime_open(&options, &o->runtime, err);
    if (status == CHORD_OK) status = chord_model_open(o->runtime, &source, &model, &o->model, err);
    return status == CHORD_OK ? chord_session_open(o->model, &o->session, err) : status;
}

static void close_model(opened *o)
{
    chord_session_close(o->session);
    chord_model_close(o->model);
    chord_runtime_close(o->runtime);
}

static const int32_t tokens[] = {72, 101, 108};
static chord_status read_prompt(opened *o, chord_error *err)
{
    return chord_session_sync(o->session, tokens, 3, NULL, err);
}

static uint64_t answer(opened *o)
{
    chord_generate_options generate = {.max_tokens = 4, .ignore_end = true};
    chord_generate_result result = {0};
    chord_error err = {0};
    CHECK_SAY(read_prompt(o, &err) == CHORD_OK, "%s", err.text);
    CHECK_SAY(chord_session_generate(o->session, &generate, NULL, NULL, &result, &err) == CHORD_OK, "%s", err.text);
    return result.logits_hash;
}

static void comes_by_and_by(tiny_model *m, uint64_t whole)
{
    chord_error err = {0};
    uint64_t second = m->data + m->tensors[1 + (m->count - 2) / 2].offset;
    gate g = {&m->b, second,
              m->data + m->tensors[m->count - 1].offset}; /* the second layer; the output's norm is there */
    opened o;
    CHECK(second >= 1 << 16 && g.to > second); /* the header is read with what follows it */
    CHECK(open_model(&g, false, &o, &err) == CHORD_IO);
    close_model(&o);
    CHECK_SAY(open_model(&g, true, &o, &err) == CHORD_OK, "%s", err.text);
    CHECK(read_prompt(&o, &err) == CHORD_IO);
    __atomic_store_n(&g.from, g.to, __ATOMIC_SEQ_CST);
    CHECK(answer(&o) == whole);
    close_model(&o);
}

static void is_wrong(tiny_model *m)
{
    chord_error err = {0};
    gate g = {&m->b, 0, 0};
    opened o;
    for (int i = 2; i < m->count - 1; i++)
        if (m->tensors[i].rows == 1) memset(m->b.bytes + m->data + m->tensors[i].offset, 0xff, 4);
    CHECK(open_model(&g, false, &o, &err) == CHORD_CORRUPT);
    close_model(&o);
    CHECK_SAY(open_model(&g, true, &o, &err) == CHORD_OK, "%s", err.text);
    for (int twice = 0; twice < 2; twice++)
        CHECK_SAY(read_prompt(&o, &err) == CHORD_CORRUPT && strstr(err.text, "blk.0") != NULL, "%s", err.text);
    close_model(&o);
}

int main(void)
{
    static tiny_model m;
    chord_error err = {0};
    opened o;
    tiny_build(&m);
    gate g = {&m.b, 0, 0};
    CHECK_SAY(open_model(&g, false, &o, &err) == CHORD_OK, "%s", err.text);
    uint64_t whole = answer(&o);
    close_model(&o);
    comes_by_and_by(&m, whole);
    is_wrong(&m);
    gb_free(&m.b);
    return check_done();
}
