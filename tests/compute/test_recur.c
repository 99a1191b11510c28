/* Recurrent layers' arithmetic: the written order, value by value; the same bits from every spelling, thread count, and way to
 * cut the tokens into calls; and what is kept on the way. */
#include "compute_test.h"

#define TOKENS 21u
#define KEPT 13u

static spelling spellings[3];
static uint32_t spelling_count;
static chord_pool *pools[3]; /* by threads; 1: none */

/* ---- convolution ------------------------------------------------------------------------------------ */

static void check_conv(uint32_t columns, uint32_t channels, bool bias, bool silu)
{
    rng r = {columns * 100 + channels};
    uint64_t stride = channels + 5, before = columns - 1, n = TOKENS * stride, carried = before * channels;
    float *input = random_floats(&r, n, 2), *kernel = random_floats(&r, (uint64_t)channels * columns, 1),
          *shift = random_floats(&r, channels, 1), *past = random_floats(&r, carried, 2), *want = malloc(n * 4),
          *x = malloc(n * 4), *next = malloc(carried * 4), *kept = malloc(carried * 4);
    memcpy(want, input, n * 4);
    for (uint32_t t = 0; t < TOKENS; t++)
        for (uint32_t c = 0; c < channels; c++) {
            float sum = 0;
            for (uint32_t j = 0; j < columns; j++) {
                uint64_t at = t + j;
                float seen = at < before ? past[at * channels + c] : input[(at - before) * stride + c];
                float product = seen * kernel[c * columns + j];
                sum = j == 0 ? product : sum + product;
            }
            if (bias) sum += shift[c];
            want[t * stride + c] = silu ? chord_siluf(sum) : sum;
        }
    for (uint32_t s = 0; s < spelling_count; s++)
        for (uint32_t threads = 1; threads <= 2; threads++) {
            chord_compute c;
            chord_compute_init(&c, pools[threads], spellings[s].cpu);
            memcpy(x, input, n * 4);
            chord_conv_args args = {x,       stride, kernel, bias ? shift : NULL, past, next, kept, TOKENS, channels,
                                    columns, KEPT,   silu};
            chord_convolve(&c, &args);
            CHECK(memcmp(x, want, n * 4) == 0);
            for (uint32_t j = 0; j < before; j++) {
                CHECK(memcmp(next + j * channels, input + (TOKENS - before + j) * stride, channels * 4) == 0);
                CHECK(memcmp(kept + j * channels, input + (KEPT - before + j) * stride, channels * 4) == 0);
            }
        }
    free(input), free(kernel), free(shift), free(past), free(want), free(x), free(next), free(kept);
}

/* ---- the recurrence --------------------------------------------------------------------------------- */

typedef struct net {
    uint32_t heads, key_heads, keys, values;
    bool delta, round;
    uint64_t stride, floats;
    float *x, *decay, *gain, *past;
} net;

static chord_recur_args args_of(const net *n, uint32_t first, uint32_t tokens, float *out)
{
    uint64_t queries = (uint64_t)n->key_heads * n->keys;
    const float *x = n->x + first * n->stride;
    return (chord_recur_args){.q = x,
                              .k = x + queries,
                              .v = x + 2 * queries,
                              .stride = n->stride,
                              .decay = n->decay + first * n->heads,
                              .gain = n->gain + first * n->heads,
                              .out = out + (uint64_t)first * n->heads * n->values,
                              .tokens = tokens,
                              .heads = n->heads,
                              .key_heads = n->key_heads,
                              .keys = n->keys,
                              .values = n->values,
                              .delta = n->delta,
                              .round = n->round};
}

/* One value of one head, from the header's formula; kept: its state after KEPT tokens, end: after all. */
static void one_value(const net *n, uint32_t head, uint32_t value, float *out, float *kept, float *end)
{
    uint32_t group = n->round ? head % n->key_heads : head / (n->heads / n->key_heads);
    uint64_t queries = (uint64_t)n->key_heads * n->keys, panel = (head * n->values + value) / 16 * 16ull * n->keys;
    float s[64];
    for (uint32_t i = 0; i < n->keys; i++) s[i] = n->past[panel + i * 16 + value % 16];
    for (uint32_t t = 0; t < TOKENS; t++) {
        const float *row = n->x + t * n->stride, *q = row + group * n->keys, *k = q + queries;
        float e = row[2 * queries + head * n->values + value], known = 0, heard = 0,
              decay = n->decay[t * n->heads + head];
        for (uint32_t i = 0; i < n->keys && t == KEPT; i++) kept[panel + i * 16 + value % 16] = s[i];
        for (uint32_t i = 0; i < n->keys; i++) known = known + (s[i] * decay) * k[i];
        if (n->delta) e = e - known;
        e = e * n->gain[t * n->heads + head];
        for (uint32_t i = 0; i < n->keys; i++) {
            s[i] = s[i] * decay + e * k[i];
            heard = heard + s[i] * q[i];
        }
        out[(t * n->heads + head) * n->values + value] = heard;
    }
    for (uint32_t i = 0; i < n->keys; i++) end[panel + i * 16 + value % 16] = s[i];
}

static void check_ways(const net *n, const float *want, const float *kept, const float *end)
{
    uint64_t count = (uint64_t)TOKENS * n->heads * n->values;
    float *out = malloc(count * 4), *states[3];
    for (int i = 0; i < 3; i++) states[i] = malloc(n->floats * 4);
    for (uint32_t s = 0; s < spelling_count; s++)
        for (uint32_t threads = 1; threads <= 2; threads++) {
            chord_compute c;
            chord_compute_init(&c, pools[threads], spellings[s].cpu);
            chord_recur_args args = args_of(n, 0, TOKENS, out);
            args.past = n->past, args.next = states[0], args.kept = states[1], args.kept_tokens = KEPT;
            chord_recur(&c, &args);
            CHECK(memcmp(out, want, count * 4) == 0 && memcmp(states[0], end, n->floats * 4) == 0);
            CHECK(memcmp(states[1], kept, n->floats * 4) == 0);
            memset(out, 0, count * 4);
            args = args_of(n, 0, KEPT, out);
            args.past = n->past, args.next = states[1];
            chord_recur(&c, &args);
            args = args_of(n, KEPT, TOKENS - KEPT, out);
            args.past = states[1], args.next = states[2];
            chord_recur(&c, &args);
            CHECK(memcmp(out, want, count * 4) == 0 && memcmp(states[2], end, n->floats * 4) == 0);
        }
    free(out);
    for (int i = 0; i < 3; i++) free(states[i]);
}

static void check_recur(net n)
{
    rng r = {n.heads * 10 + n.delta};
    n.stride = 2ull * n.key_heads * n.keys + (uint64_t)n.heads * n.values + 3;
    n.floats = (uint64_t)n.heads * n.values * n.keys;
    n.x = random_floats(&r, TOKENS * n.stride, 0.5f);
    n.decay = random_floats(&r, (uint64_t)TOKENS * n.heads, 1),
    n.gain = random_floats(&r, (uint64_t)TOKENS * n.heads, 1);
    n.past = random_floats(&r, n.floats, 1);
    float *want = malloc((uint64_t)TOKENS * n.heads * n.values * 4), *kept = malloc(n.floats * 4),
          *end = malloc(n.floats * 4);
    for (uint32_t h = 0; h < n.heads; h++)
        for (uint32_t v = 0; v < n.values; v++) one_value(&n, h, v, want, kept, end);
    check_ways(&n, want, kept, end);
    free(n.x), free(n.decay), free(n.gain), free(n.past), free(want), free(kept), free(end);
}

/* Without a past: as with zeros. */
static void check_beginning(void)
{
    static float zeros[32 * 32], state[32 * 32], other[32 * 32], x[3 * 96], out[3 * 32], same[3 * 32], rates[3];
    for (int i = 0; i < 3 * 96; i++) x[i] = (float)(i % 7) - 3;
    for (int i = 0; i < 3; i++) rates[i] = 0.5f;
    chord_compute c;
    chord_compute_init(&c, NULL, 0);
    chord_recur_args args = {.q = x,
                             .k = x + 32,
                             .v = x + 64,
                             .stride = 96,
                             .decay = rates,
                             .gain = rates,
                             .out = out,
                             .next = state,
                             .tokens = 3,
                             .heads = 1,
                             .key_heads = 1,
                             .keys = 32,
                             .values = 32};
    chord_recur(&c, &args);
    args.out = same, args.past = zeros, args.next = other;
    chord_recur(&c, &args);
    CHECK(memcmp(out, same, sizeof out) == 0 && memcmp(state, other, sizeof state) == 0);
}

static void check_softplus(void)
{
    double worst = 0;
    for (int i = -4000; i <= 4000; i++) {
        float x = (float)i / 100.0f;
        double want = x > 20.0f ? (double)x : log1p(exp((double)x));
        worst = fmax(worst, fabs((double)chord_softplus(x) - want) / (want + 1e-12));
    }
    CHECK_SAY(worst < 1e-3, "%g", worst);
    CHECK(chord_softplus(-INFINITY) == 0 && chord_softplus(INFINITY) == INFINITY && isnan(chord_softplus(NAN)));
}

int main(void)
{
    chord_heap *heap;
    chord_error err;
    CHECK_OK(chord_heap_open(16 << 20, &heap, &err));
    CHECK_OK(chord_pool_open(heap, 2, &pools[2], &err));
    spelling_count = spellings_here(spellings);
    check_conv(4, 256, true, true);
    check_conv(3, 2048, false, false);
    check_conv(2, 16, false, true);
    check_recur((net){.heads = 4, .key_heads = 2, .keys = 48, .values = 32, .delta = true, .round = true});
    check_recur((net){.heads = 6, .key_heads = 2, .keys = 64, .values = 64, .delta = true});
    check_recur((net){.heads = 3, .key_heads = 1, .keys = 16, .values = 80});
    check_beginning();
    check_softplus();
    chord_pool_close(pools[2]);
    chord_heap_close(heap);
    return check_done();
}
