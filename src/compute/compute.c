/* compute.c - which spelling runs, and tensor operations shared out to threads. */
#include "compute/vector_ops.h"

/* Below these many values a second thread costs more than it brings (measured: about 3 us to wake one). */
#define SHARE_CHEAP 65536u /* a load, a multiply or an add for each value */
#define SHARE_DEAR 8192u   /* an exponential for each value */

void chord_compute_init(chord_compute *c, chord_pool *pool, uint32_t cpu)
{
    *c = (chord_compute){.pool = pool, .cpu = cpu, .ops = &chord_vector_ops_ref};
#if defined(__x86_64__)
    if (cpu & CHORD_CPU_AVX512) c->ops = &chord_vector_ops_avx512;
    else if (cpu & CHORD_CPU_AVX2) c->ops = &chord_vector_ops_avx2;
#endif
}

/* One operation over `count` items of `width` values each. */
typedef struct job {
    const chord_vector_ops *ops;
    void (*run)(const struct job *job, uint64_t first, uint64_t end);
    uint64_t count, width, grain;
    float *out;
    const float *x, *y, *z;
    float factor;
    chord_glu kind;
    uint32_t heads, head_dim, dims;
    bool neox;
} job;

static void run_share(void *ud, uint32_t worker, chord_share share)
{
    (void)worker;
    const job *j = ud;
    j->run(j, share.first, share.end);
}

static void share_out(const chord_compute *c, job *j, uint64_t values_min)
{
    j->ops = c->ops;
    bool small = j->count * j->width < values_min;
    chord_pool_run(small ? NULL : c->pool, j->count, j->grain, run_share, j);
}

static void rmsnorm_rows(const job *j, uint64_t first, uint64_t end)
{
    for (uint64_t r = first; r < end; r++)
        j->ops->rmsnorm(j->out + r * j->width, j->x + r * j->width, j->y, (uint32_t)j->width, j->factor);
}

void chord_rmsnorm(const chord_compute *c, float *out, const float *x, const float *weight, uint32_t rows, uint32_t n,
                   float eps)
{
    job j = {.run = rmsnorm_rows, .count = rows, .width = n, .grain = 1, .out = out, .x = x, .y = weight};
    j.factor = eps;
    share_out(c, &j, SHARE_CHEAP);
}

static void layernorm_rows(const job *j, uint64_t first, uint64_t end)
{
    for (uint64_t r = first; r < end; r++)
        j->ops->layernorm(j->out + r * j->width, j->x + r * j->width, j->y, j->z, (uint32_t)j->width, j->factor);
}

void chord_layernorm(const chord_compute *c, float *out, const float *x, const float *weight, const float *bias,
                     uint32_t rows, uint32_t n, float eps)
{
    job j = {.run = layernorm_rows, .count = rows, .width = n, .grain = 1, .out = out, .x = x, .y = weight, .z = bias};
    j.factor = eps;
    share_out(c, &j, SHARE_CHEAP);
}

static void add_values(const job *j, uint64_t first, uint64_t end)
{
    j->ops->add(j->out + first, j->x + first, end - first);
}

void chord_add(const chord_compute *c, float *x, const float *y, uint64_t n)
{
    share_out(c, &(job){.run = add_values, .count = n, .width = 1, .grain = 1024, .out = x, .x = y}, SHARE_CHEAP);
}

static void add_rows(const job *j, uint64_t first, uint64_t end)
{
    for (uint64_t r = first; r < end; r++) j->ops->add(j->out + r * j->width, j->x, j->width);
}

void chord_add_row(const chord_compute *c, float *x, const float *row, uint32_t rows, uint32_t n)
{
    share_out(c, &(job){.run = add_rows, .count = rows, .width = n, .grain = 1, .out = x, .x = row}, SHARE_CHEAP);
}

static void scale_values(const job *j, uint64_t first, uint64_t end)
{
    j->ops->scale(j->out + first, j->factor, end - first);
}

void chord_scale(const chord_compute *c, float *x, float factor, uint64_t n)
{
    share_out(c, &(job){.run = scale_values, .count = n, .width = 1, .grain = 1024, .out = x, .factor = factor},
              SHARE_CHEAP);
}

static void glu_values(const job *j, uint64_t first, uint64_t end)
{
    j->ops->glu_mul(j->kind, j->out + first, j->x + first, end - first);
}

/* Without up: times one, which changes no bit, and needs no spelling of its own. */
static void activate_values(const job *j, uint64_t first, uint64_t end)
{
    float ones[64];
    for (size_t i = 0; i < CHORD_COUNT(ones); i++) ones[i] = 1.0f;
    for (; first < end; first += CHORD_COUNT(ones))
        j->ops->glu_mul(j->kind, j->out + first, ones, chord_min_u64(end - first, CHORD_COUNT(ones)));
}

void chord_glu_mul(const chord_compute *c, chord_glu kind, float *gate, const float *up, uint64_t n)
{
    job j = {
        .run = up != NULL ? glu_values : activate_values, .count = n, .width = 1, .grain = 256, .out = gate, .x = up};
    j.kind = kind;
    share_out(c, &j, SHARE_DEAR);
}

static void softcap_values(const job *j, uint64_t first, uint64_t end)
{
    j->ops->softcap(j->out + first, j->factor, end - first);
}

void chord_softcap(const chord_compute *c, float *x, float cap, uint64_t n)
{
    share_out(c, &(job){.run = softcap_values, .count = n, .width = 1, .grain = 256, .out = x, .factor = cap},
              SHARE_DEAR);
}

static void rope_heads(const job *j, uint64_t first, uint64_t end)
{
    for (uint64_t i = first; i < end; i++)
        j->ops->rope(j->out + i * j->head_dim, j->x + i / j->heads * j->dims, j->dims, j->neox);
}

void chord_rope(const chord_compute *c, float *x, const float *table, uint32_t tokens, uint32_t heads,
                uint32_t head_dim, uint32_t dims, bool neox)
{
    job j = {.run = rope_heads, .count = (uint64_t)tokens * heads, .width = dims, .grain = 1, .out = x, .x = table};
    j.heads = heads;
    j.head_dim = head_dim;
    j.dims = dims;
    j.neox = neox;
    share_out(c, &j, SHARE_CHEAP);
}

float chord_dot_f32(const float *x, const float *y, uint64_t n) { return chord_vector_ops_ref.dot(x, y, n); }

bool chord_all_finite(const float *x, uint64_t n)
{
    const uint32_t exponent = 0x7f800000u;
    for (uint64_t i = 0; i < n;) {
        uint64_t end = chord_min_u64(n, i + 4096);
        uint32_t bad = 0;
        for (; i < end; i++) {
            uint32_t bits;
            memcpy(&bits, x + i, sizeof bits);
            bad |= (bits & exponent) == exponent;
        }
        if (bad) return false;
    }
    return true;
}
