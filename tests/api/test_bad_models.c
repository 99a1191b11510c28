/* Models that are wrong in one thing each: a status, a sentence that names the thing, and nothing left behind. Also
 * reads that fail in mid-answer. */
#include "check.h"
#include "chord.h"
#include "tiny_model.h"

typedef struct faulty_reader {
    const gguf_builder *b;
    int64_t fail_after; /* reads until one fails for good; negative: never */
} faulty_reader;

static chord_status read_bytes(void *ud, uint64_t offset, void *dst, size_t len)
{
    faulty_reader *r = ud;
    if (r->fail_after >= 0 && __atomic_sub_fetch(&r->fail_after, 1, __ATOMIC_SEQ_CST) < 0) {
        __atomic_store_n(&r->fail_after, 0, __ATOMIC_SEQ_CST);
        return CHORD_IO;
    }
    if (offset > r->b->len || len > r->b->len - offset) return CHORD_IO;
    memcpy(dst, r->b->bytes + offset, len);
    return CHORD_OK;
}

/* Open, evaluate and generate a little; the first failure, with its sentence in err. */
static chord_status try_model(faulty_reader *reader, bool arm_late, chord_error *err)
{
    chord_source source = {.read = read_bytes, .size_bytes = reader->b->len, .ud = reader};
    chord_runtime_options options = {.budget_bytes = 48ull << 20, .threads = 2};
    chord_model_options model_options = {.context_tokens = 64, .policy = CHORD_POLICY_NONE};
    chord_generate_options generate = {.max_tokens = 4, .ignore_end = true};
    chord_runtime *runtime = NULL;
    chord_model *model = NULL;
    chord_session *session = NULL;
    const int32_t tokens[] = {72, 101, 108};
    chord_status status = chord_runtime_open(&options, &runtime, err);
    if (status == CHORD_OK) status = chord_model_open(runtime, &source, &model_options, &model, err);
    if (status == CHORD_OK) status = chord_session_open(model, &session, err);
    if (status == CHORD_OK && arm_late) reader->fail_after = 3;
    if (status == CHORD_OK) status = chord_session_sync(session, tokens, 3, NULL, err);
    if (status == CHORD_OK) status = chord_session_generate(session, &generate, NULL, NULL, NULL, err);
    if (arm_late && session != NULL) { /* the reader is well again: so is the session */
        chord_error again = {0};
        CHECK(status == CHORD_IO);
        reader->fail_after = -1;
        chord_status later = chord_session_sync(session, tokens, 3, NULL, &again);
        CHECK_SAY(later == CHORD_OK, "%s", again.text);
    }
    chord_session_close(session);
    chord_model_close(model);
    chord_runtime_close(runtime);
    return status;
}

static void expect(const char *what, tiny_model *m, chord_status wanted, const char *named)
{
    chord_error err = {0};
    faulty_reader reader = {&m->b, -1};
    chord_status status = try_model(&reader, false, &err);
    CHECK_SAY(status == wanted && strstr(err.text, named) != NULL, "%s: %s: %s", what, chord_status_text(status),
              err.text);
    gb_free(&m->b);
}

static uint8_t *find(tiny_model *m, const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i + n <= m->b.len; i++)
        if (memcmp(m->b.bytes + i, text, n) == 0) return m->b.bytes + i;
    printf("no '%s' in the tiny model\n", text);
    exit(1);
}

/* The value of a u32 key. */
static void set_u32(tiny_model *m, const char *key, uint32_t value)
{
    memcpy(find(m, key) + strlen(key) + 4, &value, 4);
}

int main(void)
{
    static tiny_model m;
    chord_error err = {0};
    tiny_build(&m);
    faulty_reader well = {&m.b, -1};
    CHECK_SAY(try_model(&well, false, &err) == CHORD_OK, "%s", err.text);
    faulty_reader late = {&m.b, -1};
    CHECK(try_model(&late, true, &err) == CHORD_IO && strstr(err.text, "failed") != NULL);
    gb_free(&m.b);

    tiny_build(&m);
    memcpy(find(&m, "llama"), "lamma", 5); /* general.architecture is the first value */
    expect("an unknown architecture", &m, CHORD_UNSUPPORTED, "lamma");
    tiny_build(&m);
    memcpy(find(&m, "blk.1.ffn_up"), "blk.1.ffn_uq", 12);
    expect("a missing tensor", &m, CHORD_CORRUPT, "blk.1.ffn_up.weight");
    tiny_build(&m);
    set_u32(&m, "llama.feed_forward_length", 256);
    expect("a wrong shape", &m, CHORD_CORRUPT, "blk.0.ffn_gate.weight");
    tiny_build(&m);
    set_u32(&m, "llama.attention.head_count_kv", 3);
    expect("heads that do not divide", &m, CHORD_CORRUPT, "3");
    tiny_build(&m);
    set_u32(&m, "llama.block_count", 0);
    expect("no layers", &m, CHORD_CORRUPT, "block_count");
    tiny_build(&m);
    set_u32(&m, "llama.context_length", 32);
    expect("a context beyond the trained one", &m, CHORD_INVALID, "32");
    tiny_build(&m);
    uint8_t *type = find(&m, "blk.0.attn_q.weight") + 19 + 4 + 16;
    type[0] = 16; /* IQ2_XXS: known by name; its blocks of 256 do not divide these rows */
    expect("a format whose blocks do not divide the rows", &m, CHORD_CORRUPT, "IQ2_XXS");
    tiny_build(&m);
    for (int i = 0; i < m.count; i++)
        if (m.tensors[i].type == TINY_F32 && m.tensors[i].rows > 1)
            memset(m.b.bytes + m.data + m.tensors[i].offset, 0xff, 64);
    expect("weights that are NaN", &m, CHORD_CORRUPT, "finite");
    tiny_build(&m);
    for (int i = 0; i < m.count; i++)
        if (m.tensors[i].rows == 1) memset(m.b.bytes + m.data + m.tensors[i].offset, 0xff, 4);
    expect("a norm that is NaN", &m, CHORD_CORRUPT, "finite");
    tiny_build(&m);
    m.b.len -= 4096;
    expect("a file cut short", &m, CHORD_CORRUPT, "is it complete?");
    return check_done();
}
