/* runtime.c - the promise a process makes once: budget, threads, kernels, log. */
#include "api/api_inner.h"

#include "quant/quant.h"

#define THREADS_MAX 256u

const char *chord_stop_reason_text(chord_stop_reason reason)
{
    static const char *const TEXTS[] = {"length", "end", "text", "context", "caller"};
    return (uint32_t)reason < CHORD_COUNT(TEXTS) ? TEXTS[reason] : "unknown";
}

const char *chord_phase_text(chord_phase phase)
{
    static const char *const TEXTS[] = {"open", "prefill", "decode"};
    return (uint32_t)phase < CHORD_COUNT(TEXTS) ? TEXTS[phase] : "unknown";
}

void chord_runtime_measure(chord_runtime *r)
{
    uint64_t now = chord_process_bytes(), peak = atomic_load(&r->peak_bytes);
    while (now > peak && !atomic_compare_exchange_weak(&r->peak_bytes, &peak, now)) {}
}

static chord_status choose_cpu(const char *name, uint32_t *out, chord_error *err)
{
    uint32_t have = chord_cpu_features(), wanted;
    if (!chord_cpu_by_name(name, &wanted))
        return chord_fail(err, CHORD_INVALID, "no kernels are named '%s'; there are %s", name, chord_cpu_list());
    if (name != NULL && (wanted & ~have) != 0)
        return chord_fail(err, CHORD_UNSUPPORTED, "this CPU cannot run the kernels named '%s' (its best are %s)", name,
                          chord_cpu_name(have));
    *out = have & wanted;
    return CHORD_OK;
}

static chord_status open_parts(const chord_runtime_options *o, chord_heap *heap, chord_runtime *r, chord_error *err)
{
    r->log = o->log;
    r->log_ud = o->log_ud;
    CHORD_TRY(choose_cpu(o->cpu, &r->cpu, err));
    CHORD_TRY(chord_pool_open(heap, r->threads, &r->pool, err));
    CHORD_TRY(chord_readers_open(heap, CHORD_READERS_DEFAULT, &r->readers, err));
    chord_runtime_measure(r);
    return CHORD_OK;
}

chord_status chord_runtime_open(const chord_runtime_options *options, chord_runtime **out, chord_error *err)
{
    static const chord_runtime_options DEFAULTS = {0};
    const chord_runtime_options *o = options != NULL ? options : &DEFAULTS;
    CHORD_NEED(out, "the place for the runtime");
    *out = NULL;
    uint32_t threads = o->threads != 0 ? o->threads : chord_cpu_cores();
    if (threads > THREADS_MAX)
        return chord_fail(err, CHORD_INVALID, "%u threads were asked for, at most %u are allowed", threads,
                          THREADS_MAX);
    uint64_t asked = o->budget_bytes != 0 ? o->budget_bytes : chord_memory_available_bytes();
    uint64_t budget = chord_min_u64(asked, chord_process_budget_max());
    uint64_t overhead = chord_process_bytes() + chord_process_code_bytes() +
                        (threads + CHORD_READERS_DEFAULT) * CHORD_THREAD_BYTES;
    if (budget <= overhead + CHORD_MIB)
        return chord_fail(err, CHORD_BUDGET,
                          "a budget of %.1f MiB leaves nothing for a model: code, stacks and page tables take %.1f MiB",
                          (double)budget / (double)CHORD_MIB, (double)overhead / (double)CHORD_MIB);
    chord_heap *heap = NULL;
    void *memory = NULL;
    CHORD_TRY(chord_heap_open(budget - overhead, &heap, err));
    chord_status status = chord_alloc(heap, sizeof(chord_runtime), "the runtime", &memory, err);
    if (status != CHORD_OK) {
        chord_heap_close(heap);
        return status;
    }
    chord_runtime *r = memory;
    r->keepers = 1;
    r->process_id = chord_process_id();
    r->budget_bytes = budget;
    r->overhead_bytes = overhead;
    r->threads = threads;
    r->heap = heap;
    status = open_parts(o, heap, r, err);
    if (status != CHORD_OK) {
        chord_runtime_close(r);
        return status;
    }
    if (budget < asked)
        chord_runtime_say(r, CHORD_LOG_WARN,
                          "the process's own limits (ulimit -v, -d) leave room for a budget of %" PRIu64
                          " MiB, not for %" PRIu64,
                          budget / CHORD_MIB, asked / CHORD_MIB);
    if (chord_pool_threads(r->pool) < threads)
        chord_runtime_say(r, CHORD_LOG_WARN, "%u of %u threads could be started", chord_pool_threads(r->pool), threads);
    *out = r;
    return CHORD_OK;
}

uint32_t chord_runtime_threads(const chord_runtime *r) { return r != NULL ? chord_pool_threads(r->pool) : 0; }
