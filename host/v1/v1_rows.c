/* v1_rows.c - chord_host_v1: rows of weights times activations by the host's own kernels. Canonical arithmetic makes it
 * a pure speed-up: both sides give the same bits. All that a guest may write into a job is checked; the values
 * themselves may be anything. */
#include "guest_inner.h"
#include "quant/quant.h"

#define COLUMNS_MAX (1u << 24)
#define ROWS_MAX (1u << 24)
#define ROOM_BYTES 65536u /* what the heap may round up by */
#define TOKENS_MAX (1u << 16)
#define SLICE_STEPS (1ull << 28) /* multiplications between two looks whether the guest must end: some milliseconds */

int64_t v1_rows_offered(host_call *call, const uint64_t *a)
{
    (void)a;
    if (call->guest->options.no_rows) return CHORD_HOST_ROWS_NONE;
    return v1_banks_offered(call->guest) && call->guest->far_module == NULL ? CHORD_HOST_ROWS_AND_BANKS
                                                                            : CHORD_HOST_ROWS;
}

typedef struct checked {
    chord_rows weights;
    chord_acts acts;
    float *out;
    guest_bank *bank; /* the weights' */
} checked;

static uint8_t *find_weights(host_call *call, const chord_host_rows *job, uint64_t bytes, guest_bank **bank)
{
    *bank = NULL;
    return job->bank == 0 ? host_bytes(call, job->weights, bytes)
                          : v1_bank_use(call, job->bank - 1, job->weights, bytes, bank);
}

/* The last thing looked for is the weights: a bank in use is to be left again. */
static bool find_all(host_call *call, const chord_host_rows *job, const chord_type_info *info, checked *to)
{
    uint64_t row_bytes = (uint64_t)(job->columns / info->block_elems) * info->block_bytes;
    uint64_t last = (uint64_t)(job->tokens - 1) * job->out_stride + job->rows;
    to->out = job->out_stride <= UINT32_MAX ? host_bytes(call, job->out, last * sizeof(float)) : NULL;
    if (to->out == NULL || (uintptr_t)to->out % 4 != 0 || job->weights % 2 != 0) return false;
    chord_act kind = (chord_act)job->act_kind;
    void *memory = NULL;
    if (kind != CHORD_ACT_F32) {
        memory = host_bytes(call, job->acts, chord_act_bytes(kind, job->columns, job->tokens_max));
        if (memory == NULL || (uintptr_t)memory % 64 != 0) return false;
    }
    chord_acts_init(&to->acts, kind, job->columns, job->tokens_max, memory);
    to->acts.tokens = job->tokens;
    if (kind == CHORD_ACT_F32) {
        to->acts.x = host_bytes(call, job->x, (uint64_t)job->columns * job->tokens * sizeof(float));
        if (to->acts.x == NULL || (uintptr_t)to->acts.x % 4 != 0) return false;
    }
    const uint8_t *weights = find_weights(call, job, row_bytes * job->rows, &to->bank);
    to->weights = (chord_rows){.type = (chord_type)job->type,
                               .data = weights,
                               .n = job->columns,
                               .rows = job->rows,
                               .packed = job->packed != 0};
    return weights != NULL;
}

/* The calling thread's own memory for kernels, made once. */
static void *scratch_of(host_call *call, uint32_t columns)
{
    guest_instance *instance = call->instance;
    uint64_t need = chord_rows_scratch_bytes(columns);
    if (need <= instance->rows_scratch_bytes) return instance->rows_scratch;
    chord_heap *heap = call->guest->heap;
    void *grown;
    (void)guest_make_room(call->guest, need + ROOM_BYTES);
    if (chord_alloc(heap, need, "scratch for rows", &grown, call->err) != CHORD_OK) return NULL;
    chord_free(heap, instance->rows_scratch);
    instance->rows_scratch = grown;
    instance->rows_scratch_bytes = need;
    return grown;
}

/* Whole panels at a time, so that a row's neighbours are the same and its result too. */
static void dot_in_slices(host_call *call, const checked *to, uint64_t out_stride, void *scratch, uint64_t row_bytes)
{
    chord_rows slice = to->weights;
    uint64_t steps = (uint64_t)slice.n * to->acts.tokens * CHORD_PANEL_ROWS;
    uint32_t most = (uint32_t)chord_min_u64(chord_max_u64(SLICE_STEPS / steps, 1) * CHORD_PANEL_ROWS, ROWS_MAX);
    for (uint32_t first = 0; first < to->weights.rows; first += slice.rows) {
        slice.data = to->weights.data + first * row_bytes;
        slice.rows = (uint32_t)chord_min_u64(most, to->weights.rows - first);
        chord_rows_dot(&slice, &to->acts, to->out + first, out_stride, scratch, call->guest->cpu);
        const char *why = first + slice.rows < to->weights.rows ? guest_must_end(call->guest) : NULL;
        if (why == NULL) continue;
        chord_format(call->trap, CHORD_TRAP_BYTES, "%s", why);
        return;
    }
}

int64_t v1_rows(host_call *call, const uint64_t *a)
{
    chord_host_rows job;
    checked to;
    const void *from = host_bytes(call, a[0], sizeof job);
    if (call->guest->options.no_rows) return host_fail(call, CHORD_HOST_UNSUPPORTED, "rows are not offered");
    if (from == NULL) return host_fail(call, CHORD_HOST_RANGE, "a job of rows at %" PRIu64 " is not in memory", a[0]);
    memcpy(&job, from, sizeof job);
    const chord_type_info *info = chord_type_get(job.type);
    const chord_format_ops *format = info != NULL ? chord_format_get((chord_type)job.type) : NULL;
    if (format == NULL || job.act_kind != (uint32_t)format->act)
        return host_fail(call, CHORD_HOST_INVALID, "rows of type %u with activations %u", job.type, job.act_kind);
    if (job.columns == 0 || job.columns > COLUMNS_MAX || job.columns % info->block_elems != 0 || job.rows == 0 ||
        job.rows > ROWS_MAX || job.tokens == 0 || job.tokens > job.tokens_max || job.tokens_max > TOKENS_MAX)
        return host_fail(call, CHORD_HOST_INVALID, "%u rows of %u columns times %u of %u tokens", job.rows, job.columns,
                         job.tokens, job.tokens_max);
    if (!find_all(call, &job, info, &to))
        return host_fail(call, CHORD_HOST_RANGE, "weights, activations or results are not in memory, or not aligned");
    void *scratch = scratch_of(call, job.columns);
    if (scratch != NULL)
        dot_in_slices(call, &to, job.out_stride, scratch,
                      (uint64_t)(job.columns / info->block_elems) * info->block_bytes);
    if (to.bank != NULL) v1_bank_leave(call, to.bank);
    atomic_fetch_add_explicit(&call->guest->rows_calls, 1, memory_order_relaxed);
    return scratch != NULL ? CHORD_HOST_OK : CHORD_HOST_MEMORY;
}
