/* Attention and its cache. Three judges: a scalar transcription of compute.h's specification (same bits), soft-max
 * attention in double over the rounded values (within a bound), and every spelling, thread count, chunking and ring
 * size against each other (same bits). `--bench` prints times instead. */
#include "compute_test.h"

static spelling spellings[3];
static uint32_t spelling_count;
static chord_pool *pools[4]; /* by threads; 1: none */

typedef struct shape {
    chord_kv_type type;
    uint32_t heads, kv_heads, dim, tokens, window;
    float softcap;
    bool sinks;
    uint32_t value_dim; /* 0: dim */
    bool chunks;
    uint32_t every; /* of a far cache, which holds the same rows, last to first; 0: there is none */
} shape;

static const float SINKS[16] = {0.3f,  -2.0f, 4.0f, 0.0f,  1.5f, -0.5f, 2.5f, 3.0f,
                                -1.0f, 0.7f,  6.0f, -8.0f, 1.0f, 2.0f,  3.0f, 4.0f};

typedef struct inputs {
    float *q, *k, *v; /* (tokens, heads or kv_heads, dim or value_dim) */
    float *kr, *vr;   /* k and v as the cache rounds them, by this file's own rule */
} inputs;

/* ---- the cache's rounding, written a second time ---- */

static void round_f16(float *out, const float *x, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) out[i] = (float)(_Float16)x[i];
}

static void round_q8(float *out, const float *x, uint64_t rows, uint32_t dim)
{
    for (uint64_t row = 0; row < rows; row++)
        for (uint32_t d = 0; d < dim; d += 32) {
            uint32_t n = dim - d < 32 ? dim - d : 32;
            const float *in = x + row * dim + d;
            float amax = 0;
            for (uint32_t i = 0; i < n; i++) amax = fmaxf(amax, fabsf(in[i]));
            float scale = (float)(_Float16)(amax / 127.0f), inverse = scale > 0 ? 1.0f / scale : 0;
            for (uint32_t i = 0; i < n; i++)
                out[row * dim + d + i] = scale * fminf(127, fmaxf(-127, nearbyintf(in[i] * inverse)));
        }
}

static uint32_t values_of(const shape *s) { return s->value_dim != 0 ? s->value_dim : s->dim; }

static inputs make_inputs(const shape *s, uint64_t seed)
{
    rng r = {seed};
    uint64_t rows = (uint64_t)s->tokens * s->kv_heads, k_count = rows * s->dim, v_count = rows * values_of(s);
    inputs in = {.q = random_floats(&r, (uint64_t)s->tokens * s->heads * s->dim, 3),
                 .k = random_floats(&r, k_count, 3),
                 .v = random_floats(&r, v_count, 2),
                 .kr = malloc(4 * k_count),
                 .vr = malloc(4 * v_count)};
    memset(in.k + 2 * s->dim, 0, 4ull * s->dim); /* a group of zeros */
    if (s->type == CHORD_KV_F16) {
        round_f16(in.kr, in.k, k_count);
        round_f16(in.vr, in.v, v_count);
    } else {
        round_q8(in.kr, in.k, rows, s->dim);
        round_q8(in.vr, in.v, rows, values_of(s));
    }
    return in;
}

static void free_inputs(inputs *in) { free(in->q), free(in->k), free(in->v), free(in->kr), free(in->vr); }

static uint32_t first_seen(const shape *s, uint32_t t)
{
    if (s->chunks) return t / s->window * s->window;
    return s->window && t + 1 > s->window ? t + 1 - s->window : 0;
}

static uint32_t far_seen(const shape *s, uint32_t t) { return s->every != 0 ? (t + 1) / s->every : 0; }

/* Which row stands at a place of the cache, or of the far one. */
static uint64_t row_at(const shape *s, uint32_t place, bool far) { return far ? s->tokens - 1 - place : place; }

static float scale_of(const shape *s) { return 1.0f / sqrtf((float)s->dim); }

/* ---- the specification, scalar ---- */

typedef struct state {
    float m, l, o[256];
} state;

static state block_partial(const shape *s, const inputs *in, const float *q, uint32_t kv_head, bool far, uint32_t start,
                           uint32_t low, uint32_t high)
{
    state st = {.m = -INFINITY};
    float score[64], p[64] = {0}, lanes[16] = {0};
    for (uint32_t j = low; j < high; j++) {
        const float *k = in->kr + (row_at(s, start + j, far) * s->kv_heads + kv_head) * s->dim;
        float sum = 0;
        for (uint32_t d = 0; d < s->dim; d++) sum = sum + q[d] * k[d];
        score[j] = sum * scale_of(s);
        if (s->softcap != 0) score[j] = chord_tanhf(score[j] / s->softcap) * s->softcap;
        st.m = score[j] > st.m ? score[j] : st.m;
    }
    for (uint32_t j = low; j < high; j++) p[j] = chord_expf(score[j] - st.m);
    for (uint32_t j = 0; j < 64; j++) lanes[j % 16] = lanes[j % 16] + p[j];
    for (uint32_t width = 8; width; width /= 2)
        for (uint32_t i = 0; i < width; i++) lanes[i] = lanes[i] + lanes[i + width];
    st.l = lanes[0];
    for (uint32_t d = 0; d < values_of(s); d++)
        for (uint32_t j = low; j < high; j++)
            st.o[d] = st.o[d] + p[j] * in->vr[(row_at(s, start + j, far) * s->kv_heads + kv_head) * values_of(s) + d];
    return st;
}

static void fold(const shape *s, state *all, const state *st)
{
    float m = st->m > all->m ? st->m : all->m, a = chord_expf(all->m - m), b = chord_expf(st->m - m);
    all->l = all->l * a + st->l * b;
    for (uint32_t d = 0; d < values_of(s); d++) all->o[d] = all->o[d] * a + st->o[d] * b;
    all->m = m;
}

static void specified(const shape *s, const inputs *in, float *out)
{
    for (uint32_t t = 0; t < s->tokens; t++)
        for (uint32_t h = 0; h < s->heads; h++) {
            uint64_t row = (uint64_t)t * s->heads + h, at = row * values_of(s);
            uint32_t first = first_seen(s, t), near_blocks = t / 64 + 1, far_end = far_seen(s, t);
            state all = {.m = SINKS[h], .l = 1.0f};
            for (uint32_t block = first / 64; block < near_blocks + (far_end + 63) / 64; block++) {
                bool far = block >= near_blocks;
                uint32_t start = (far ? block - near_blocks : block) * 64, end = far ? far_end : t + 1;
                uint32_t low = !far && first > start ? first - start : 0, high = end - start < 64 ? end - start : 64;
                state st = block_partial(s, in, in->q + row * s->dim, h / (s->heads / s->kv_heads), far, start, low,
                                         high);
                if (block == first / 64 && !s->sinks) all = st;
                else fold(s, &all, &st);
            }
            for (uint32_t d = 0; d < values_of(s); d++) out[at + d] = all.o[d] / all.l;
        }
}

/* ---- plain soft-max attention in double; returns the largest error of out ---- */

static double naive_error(const shape *s, const inputs *in, const float *out)
{
    double worst = 0, *p = malloc(2 * s->tokens * sizeof *p);
    for (uint32_t t = 0; t < s->tokens; t++)
        for (uint32_t h = 0; h < s->heads; h++) {
            const float *q = in->q + ((uint64_t)t * s->heads + h) * s->dim;
            uint32_t kv_head = h / (s->heads / s->kv_heads);
            uint32_t first = first_seen(s, t), end = t + 1 + far_seen(s, t);
            double sum = s->sinks ? exp((double)SINKS[h]) : 0;
            for (uint32_t j = first; j < end; j++) {
                uint64_t row = j <= t ? j : row_at(s, j - t - 1, true);
                double score = 0;
                for (uint32_t d = 0; d < s->dim; d++)
                    score += (double)q[d] * (double)in->kr[(row * s->kv_heads + kv_head) * s->dim + d];
                score /= sqrt(s->dim);
                if (s->softcap != 0) score = (double)s->softcap * tanh(score / (double)s->softcap);
                sum += p[j] = exp(score);
            }
            for (uint32_t d = 0; d < values_of(s); d++) {
                double o = 0;
                for (uint32_t j = first; j < end; j++) {
                    uint64_t row = j <= t ? j : row_at(s, j - t - 1, true);
                    o += p[j] * (double)in->vr[(row * s->kv_heads + kv_head) * values_of(s) + d];
                }
                worst = fmax(worst, fabs(o / sum - (double)out[((uint64_t)t * s->heads + h) * values_of(s) + d]));
            }
        }
    free(p);
    return worst;
}

/* ---- the library, in chunks ---- */

/* In no order. */
static void open_blocks(chord_kv *kv)
{
    uint64_t bytes = chord_kv_block_bytes(kv->type, kv->kv_heads, kv->head_dim, kv->value_dim);
    CHECK(bytes % 64 == 0);
    kv->table = malloc(kv->blocks * sizeof *kv->table);
    for (uint32_t i = 0; i < kv->blocks; i++) {
        kv->table[i] = aligned_alloc(64, bytes);
        memset(kv->table[i], 0, bytes);
    }
    for (uint32_t i = 0; i < kv->blocks; i++) {
        uint32_t other = i * 7 % kv->blocks;
        uint8_t *block = kv->table[i];
        kv->table[i] = kv->table[other];
        kv->table[other] = block;
    }
}

static void close_blocks(chord_kv *kv)
{
    for (uint32_t i = 0; i < kv->blocks; i++) free(kv->table[i]);
    free(kv->table);
}

static chord_kv open_far(const shape *s, const inputs *in, const chord_compute *c)
{
    uint64_t k_row = (uint64_t)s->kv_heads * s->dim, v_row = (uint64_t)s->kv_heads * values_of(s);
    chord_kv far = {.type = s->type, .kv_heads = s->kv_heads, .head_dim = s->dim, .value_dim = values_of(s)};
    uint32_t places = far_seen(s, s->tokens - 1);
    if (s->every == 0) return far;
    far.blocks = places / 64 + 1;
    open_blocks(&far);
    for (uint32_t i = 0; i < places; i++)
        chord_kv_write(c, &far, i, 1, in->k + row_at(s, i, true) * k_row, in->v + row_at(s, i, true) * v_row);
    return far;
}

static void run_chunked(const shape *s, const inputs *in, const chord_compute *c, uint32_t threads,
                        const uint32_t *chunks, bool small_ring, float *out)
{
    uint32_t largest = 0;
    for (uint32_t i = 0; chunks[i]; i++) largest = chunks[i] > largest ? chunks[i] : largest;
    largest = largest < s->tokens ? largest : s->tokens;
    uint64_t kept = small_ring ? (uint64_t)s->window + largest : s->tokens;
    chord_kv kv = {.type = s->type,
                   .kv_heads = s->kv_heads,
                   .head_dim = s->dim,
                   .value_dim = values_of(s),
                   .blocks = (uint32_t)(kept + 62) / 64 + 1};
    open_blocks(&kv);
    chord_kv far = open_far(s, in, c);
    uint64_t scratch_bytes = chord_attention_scratch_bytes(threads, s->dim, values_of(s), s->heads);
    void *scratch = aligned_alloc(64, chord_align_up(scratch_bytes, 64));
    memset(scratch, 0xff, scratch_bytes); /* NaNs: nothing may be read before it is written */
    uint64_t q_row = (uint64_t)s->heads * s->dim, out_row = (uint64_t)s->heads * values_of(s);
    uint64_t k_row = (uint64_t)s->kv_heads * s->dim, v_row = (uint64_t)s->kv_heads * values_of(s);
    bool in_place = out_row == q_row;
    if (in_place) memcpy(out, in->q, 4 * q_row * s->tokens);
    for (uint32_t done = 0, i = 0; done < s->tokens; i = chunks[i + 1] ? i + 1 : 0) {
        uint32_t count = chunks[i] < s->tokens - done ? chunks[i] : s->tokens - done;
        chord_kv_write(c, &kv, done, count, in->k + done * k_row, in->v + done * v_row);
        chord_attention_args args = {.first = done,
                                     .tokens = count,
                                     .heads = s->heads,
                                     .window = s->window,
                                     .chunks = s->chunks,
                                     .far = s->every != 0 ? &far : NULL,
                                     .every = s->every,
                                     .scale = scale_of(s),
                                     .softcap = s->softcap,
                                     .sinks = s->sinks ? SINKS : NULL};
        chord_attention(c, out + done * out_row, (in_place ? out : in->q) + done * q_row, &kv, &args, scratch);
        done += count;
    }
    close_blocks(&kv), free(scratch);
    if (s->every != 0) close_blocks(&far);
}

static void test_shape(const shape *s, uint64_t seed)
{
    static const uint32_t chunkings[][6] = {{1u << 20}, {1}, {37, 1, 64, 5, 100}, {8}, {3, 130}};
    inputs in = make_inputs(s, seed);
    uint64_t bytes = 4ull * s->tokens * s->heads * values_of(s);
    float *want = malloc(bytes), *got = malloc(bytes);
    specified(s, &in, want);
    double error = naive_error(s, &in, want);
    CHECK_SAY(error < 1e-5, "dim %u: %g", s->dim, error);
    for (uint32_t i = 0; i < spelling_count; i++)
        for (uint32_t threads = 1; threads <= 3; threads++)
            for (size_t k = 0; k < CHORD_COUNT(chunkings); k++)
                for (int ring = 0; ring <= (s->window > 0); ring++) {
                    chord_compute c;
                    chord_compute_init(&c, pools[threads], spellings[i].cpu);
                    run_chunked(s, &in, &c, threads, chunkings[k], ring, got);
                    CHECK_SAY(memcmp(got, want, bytes) == 0,
                              "type %d heads %u/%u dim %u window %u: %s, %u threads, chunking %zu, ring %d", s->type,
                              s->heads, s->kv_heads, s->dim, s->window, spellings[i].name, threads, k, ring);
                }
    printf("type %d, %u/%u heads of %3u, %u tokens, window %3u, softcap %2.0f%s: error %.2g\n", s->type, s->heads,
           s->kv_heads, s->dim, s->tokens, s->window, (double)s->softcap, s->sinks ? ", sinks" : "", error);
    free_inputs(&in), free(want), free(got);
}

/* A value that cannot be held must not pass silently. */
static void test_edges(void)
{
    chord_compute c;
    chord_compute_init(&c, NULL, 0);
    shape s = {.type = CHORD_KV_Q8_0, .heads = 1, .kv_heads = 1, .dim = 64, .tokens = 4};
    static const uint32_t whole[] = {1u << 20, 0};
    const float bad[] = {NAN, INFINITY};
    for (int type = 0; type < 2; type++)
        for (int i = 0; i < 2; i++) {
            s.type = type ? CHORD_KV_Q8_0 : CHORD_KV_F16;
            inputs in = make_inputs(&s, 5);
            float out[4 * 64];
            in.v[70] = bad[i];
            run_chunked(&s, &in, &c, 1, whole, false, out);
            CHECK(chord_all_finite(out, 64) && !chord_all_finite(out + 64, 64) && !chord_all_finite(out + 192, 64));
            free_inputs(&in);
        }
}

/* ---- times ---- */

static double best_ns(const chord_compute *c, const chord_kv *kv, const chord_attention_args *args, const float *q,
                      float *out, void *scratch)
{
    double best = 1e30, total = 0;
    for (int i = 0; i < 200 && total < 3e8; i++) {
        uint64_t start_ns = chord_clock_ns();
        chord_attention(c, out, q, kv, args, scratch);
        double ns = (double)(chord_clock_ns() - start_ns);
        total += ns;
        best = fmin(best, ns);
    }
    return best;
}

static void bench(void)
{
    const struct {
        uint32_t heads, kv_heads, dim, past, tokens;
    } cases[] = {{12, 2, 128, 512, 1},   {12, 2, 128, 4096, 1}, {9, 3, 64, 4096, 1},
                 {32, 32, 128, 4096, 1}, {12, 2, 128, 0, 512},  {9, 3, 64, 1024, 512}};
    rng r = {9};
    for (size_t k = 0; k < CHORD_COUNT(cases); k++)
        for (int type = 0; type < 2; type++) {
            uint32_t length = cases[k].past + cases[k].tokens;
            chord_kv kv = {.type = type ? CHORD_KV_Q8_0 : CHORD_KV_F16,
                           .kv_heads = cases[k].kv_heads,
                           .head_dim = cases[k].dim,
                           .value_dim = cases[k].dim,
                           .blocks = length / 64 + 1};
            open_blocks(&kv);
            uint64_t kv_count = (uint64_t)length * kv.kv_heads * kv.head_dim;
            uint64_t count = (uint64_t)cases[k].tokens * cases[k].heads * kv.head_dim;
            float *kx = random_floats(&r, kv_count, 1), *q = random_floats(&r, count, 1), *out = malloc(4 * count);
            void *scratch = aligned_alloc(
                64, chord_align_up(chord_attention_scratch_bytes(2, kv.head_dim, kv.head_dim, cases[k].heads), 64));
            chord_attention_args args = {
                .first = cases[k].past, .tokens = cases[k].tokens, .heads = cases[k].heads, .scale = 0.1f};
            for (uint32_t s = 0; s < spelling_count; s++)
                for (uint32_t threads = 1; threads <= 2; threads++) {
                    chord_compute c;
                    chord_compute_init(&c, pools[threads], spellings[s].cpu);
                    uint64_t start_ns = chord_clock_ns();
                    chord_kv_write(&c, &kv, 0, length, kx, kx);
                    double write_ns = (double)(chord_clock_ns() - start_ns) / (double)(2 * kv_count);
                    double ns = best_ns(&c, &kv, &args, q, out, scratch);
                    double pairs = (double)cases[k].heads * cases[k].tokens *
                                   (cases[k].past + (cases[k].tokens + 1) / 2.0);
                    printf("%-6s %u threads %s %2u/%2u heads of %3u, past %4u, %3u tokens: %8.1f us, %.2f GMAC/s; "
                           "write %.2f ns\n",
                           spellings[s].name, threads, type ? "q8_0" : "f16 ", cases[k].heads, kv.kv_heads, kv.head_dim,
                           cases[k].past, cases[k].tokens, ns * 1e-3, pairs * 2 * kv.head_dim / ns, write_ns);
                }
            close_blocks(&kv), free(kx), free(q), free(out), free(scratch);
        }
}

int main(int argc, char **argv)
{
    spelling_count = spellings_here(spellings);
    chord_heap *heap;
    chord_error err;
    CHECK_OK(chord_heap_open(1ull << 30, &heap, &err));
    for (uint32_t threads = 2; threads <= 3; threads++) CHECK_OK(chord_pool_open(heap, threads, &pools[threads], &err));
    if (argc > 1 && strcmp(argv[1], "--bench") == 0) {
        bench();
    } else {
        const shape shapes[] = {
            {CHORD_KV_F16, 4, 2, 48, 300, 0, 0, false, 32, false, 0},
            {CHORD_KV_Q8_0, 4, 1, 72, 200, 90, 0, true, 100, false, 0},
            {CHORD_KV_Q8_0, 2, 2, 32, 200, 0, 0, false, 8, false, 0},
            {CHORD_KV_F16, 4, 2, 64, 300, 0, 0, true, 0, false, 0},
            {CHORD_KV_Q8_0, 6, 3, 32, 200, 40, 9, true, 0, false, 0},
            {CHORD_KV_F16, 4, 2, 64, 300, 0, 0, false, 0, false, 0},
            {CHORD_KV_F16, 9, 3, 64, 200, 0, 0, false, 0, false, 0},
            {CHORD_KV_F16, 3, 1, 80, 260, 100, 0, false, 0, false, 0},
            {CHORD_KV_F16, 12, 2, 128, 150, 0, 50, false, 0, false, 0},
            {CHORD_KV_F16, 2, 2, 96, 330, 64, 0, false, 0, false, 0},
            {CHORD_KV_F16, 4, 1, 256, 140, 33, 30, false, 0, false, 0},
            {CHORD_KV_F16, 5, 1, 100, 200, 1, 0, false, 0, false, 0},
            {CHORD_KV_Q8_0, 4, 2, 64, 300, 0, 0, false, 0, false, 0},
            {CHORD_KV_Q8_0, 3, 1, 80, 260, 129, 0, false, 0, false, 0},
            {CHORD_KV_Q8_0, 6, 2, 128, 150, 0, 20, false, 0, false, 0},
            {CHORD_KV_Q8_0, 2, 1, 100, 200, 70, 0, false, 0, false, 0},
            {CHORD_KV_F16, 1, 1, 16, 3000, 0, 0, false, 0, false, 0},
            {.type = CHORD_KV_F16, .heads = 4, .kv_heads = 2, .dim = 32, .tokens = 300, .window = 70, .chunks = true},
            {.type = CHORD_KV_F16,
             .heads = 4,
             .kv_heads = 1,
             .dim = 64,
             .tokens = 600,
             .window = 24,
             .sinks = true,
             .every = 4},
            {.type = CHORD_KV_Q8_0, .heads = 3, .kv_heads = 1, .dim = 48, .tokens = 300, .every = 128},
        };
        for (size_t i = CHECK_EVERY(0, 0, 1); i < CHORD_COUNT(shapes); i += CHECK_EVERY(1, 1, 3))
            test_shape(&shapes[i], i + 100);
        test_edges();
    }
    for (uint32_t threads = 2; threads <= 3; threads++) chord_pool_close(pools[threads]);
    chord_heap_close(heap);
    return argc > 1 ? 0 : check_done();
}
