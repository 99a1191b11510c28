/* guest_limits.c - one sum for all that a guest can make grow: the heap of its budget counts its linear memory (to the
 * end it may grow to), banks, tables, threads, and what the host holds for it. What linear memory has not yet grown to
 * can become a bank; it then grows no further. */
#define _GNU_SOURCE
#include "guest_inner.h"

#include "pager/pager.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_BYTES 65536u
#define LID_BYTES 4096u
#define THREAD_BYTES (256 * 1024ull) /* stack touched, instance and kernel structures */
#define STACK_BYTES (512 * 1024ull)  /* what Wasmtime gives a guest's code of a thread's stack */
#define LOOK_NS 1000000

/* ---- what there is --------------------------------------------------------------------------------------- */

static uint64_t threads_paid(const chord_guest *guest)
{
    return guest->shape.starts_threads ? guest->options.threads : 0;
}

static chord_status settle(chord_guest *guest, uint64_t more_bytes, uint64_t *left, chord_error *err)
{
    uint64_t overhead = chord_process_bytes() + chord_process_code_bytes() + HOST_LIBRARY_BYTES +
                        (guest->options.threads + CHORD_READERS_DEFAULT) * THREAD_BYTES + more_bytes;
    if (guest->budget_bytes < overhead + 4 * CHORD_MIB)
        return chord_fail(err, CHORD_BUDGET,
                          "a budget of %.1f MiB leaves nothing for a guest: the host itself takes %.1f MiB%s",
                          (double)guest->budget_bytes / (double)CHORD_MIB, (double)overhead / (double)CHORD_MIB,
                          more_bytes > CHORD_MIB ? ", the guest's tables among them" : "");
    *left = guest->budget_bytes - overhead;
    return CHORD_OK;
}

chord_status guest_settle_early(chord_guest *guest, chord_error *err)
{
    chord_guest_options *o = &guest->options;
    uint64_t left;
    if (o->threads == 0) o->threads = chord_cpu_cores();
    if (o->threads > GUEST_THREADS_MAX / 2) o->threads = GUEST_THREADS_MAX / 2;
    guest->budget_bytes = o->budget_bytes != 0 ? o->budget_bytes : chord_memory_available_bytes();
    return settle(guest, 0, &left, err);
}

/* What the process takes already and what a guest always costs comes off the budget; the rest is the guest's. */
chord_status guest_settle_budget(chord_guest *guest, chord_error *err)
{
    const chord_guest_options *o = &guest->options;
    uint64_t left;
    guest->elements_max = host_table_elements_max(&guest->shape, guest->budget_bytes);
    guest->instance_bytes = host_instance_bytes(&guest->shape, guest->elements_max);
    guest->instances_paid = (uint32_t)threads_paid(guest) + 1;
    CHORD_TRY(settle(guest, guest->instances_paid * guest->instance_bytes, &left, err));
    CHORD_TRY(chord_heap_open(left, &guest->heap, err));
    guest->linear_bytes_max = left;
    if (o->linear_bytes_max != 0) guest->linear_bytes_max = chord_min_u64(left, o->linear_bytes_max);
    return CHORD_OK;
}

/* ---- linear memory ----------------------------------------------------------------------------------------- */

void guest_limit_store(chord_guest *guest, wasmtime_store_t *store)
{
    uint64_t linear = guest->linear_charged_bytes;
    /* with a garbage-collected heap beside it, which the same limit holds for */
    if (guest->host->options.gc) linear /= 2;
    wasmtime_store_limiter(store, (int64_t)linear, (int64_t)guest->elements_max, guest->far_module != NULL ? 2 : 1,
                           MODULE_TABLES_MAX, guest->own_memories);
}

/* A shared memory grows asking nobody, up to the maximum that it was made with: a page of a file that was opened for
 * reading stands at `limit`, and the system refuses to make it writable. Growing by nothing waits for a thread that was
 * growing the memory meanwhile, so that afterwards all who grow meet the page. False: one had passed it before. */
static bool put_lid(chord_guest *guest, uint64_t limit)
{
    uint64_t pages;
    if (limit >= guest->shared_bytes_max) return true;
    int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return true; /* guest_check_budget is left */
    (void)mmap(guest->shared_base + limit, LID_BYTES, PROT_NONE, MAP_SHARED | MAP_FIXED, fd, 0);
    close(fd);
    wasmtime_error_t *error = wasmtime_sharedmemory_grow(guest->shared, 0, &pages);
    if (error != NULL) wasmtime_error_delete(error);
    return guest_linear_bytes(guest) <= limit;
}

static bool set_linear(chord_guest *guest, uint64_t bytes)
{
    guest->linear_charged_bytes = bytes;
    if (guest->shared != NULL) return put_lid(guest, bytes);
    if (guest->main != NULL) guest_limit_store(guest, guest->main->store);
    return true;
}

chord_status guest_charge_linear(chord_guest *guest, chord_error *err)
{
    uint64_t left = chord_heap_ceiling_bytes(guest->heap) - chord_heap_used_bytes(guest->heap);
    uint64_t most = chord_min_u64(guest->linear_bytes_max, left) / PAGE_BYTES * PAGE_BYTES;
    most = chord_max_u64(most, guest_linear_bytes(guest)); /* that a shared one begins with */
    CHORD_TRY(chord_heap_charge(guest->heap, most, "the guest's own memory", err));
    guest->linear_bytes_max = most;
    (void)set_linear(guest, most);
    return CHORD_OK;
}

static uint64_t heap_left(const chord_guest *guest)
{
    return chord_heap_ceiling_bytes(guest->heap) - chord_heap_used_bytes(guest->heap);
}

/* What linear memory could do without. While a module's start function runs, nobody can say how far it has grown. */
static uint64_t spare_bytes(const chord_guest *guest)
{
    uint64_t charged = guest->linear_charged_bytes, size = guest_linear_bytes(guest);
    if (guest->main == NULL && guest->shared == NULL) return 0;
    return charged > size ? (charged - size) / PAGE_BYTES * PAGE_BYTES : 0;
}

uint64_t guest_room_bytes(chord_guest *guest)
{
    pthread_mutex_lock(&guest->limit_lock);
    uint64_t bytes = heap_left(guest) + spare_bytes(guest), far = guest_far_bytes(guest);
    pthread_mutex_unlock(&guest->limit_lock);
    return bytes > far ? bytes - far : 0;
}

bool guest_make_room(chord_guest *guest, uint64_t bytes)
{
    pthread_mutex_lock(&guest->limit_lock);
    uint64_t left = heap_left(guest), lower = 0;
    bool good = bytes <= left;
    if (!good) {
        lower = (bytes - left + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
        good = lower <= spare_bytes(guest);
    }
    if (good && lower != 0) {
        good = set_linear(guest, guest->linear_charged_bytes - lower);
        if (good) chord_heap_discharge(guest->heap, lower);
        else guest_kill(guest, "two of the guest's threads took the same memory at once: one to grow, one for a bank");
    }
    pthread_mutex_unlock(&guest->limit_lock);
    return good;
}

/* ---- threads ------------------------------------------------------------------------------------------------ */

static uint64_t thread_bytes(const chord_guest *guest) { return THREAD_BYTES + STACK_BYTES + guest->instance_bytes; }

chord_status guest_pay_thread(chord_guest *guest, chord_error *err)
{
    uint32_t count = atomic_fetch_add(&guest->thread_count, 1) + 1;
    if (count < guest->instances_paid) return CHORD_OK;
    (void)guest_make_room(guest, thread_bytes(guest));
    chord_status status = chord_heap_charge(guest->heap, thread_bytes(guest), "one more thread of the guest", err);
    if (status != CHORD_OK) atomic_fetch_sub(&guest->thread_count, 1);
    return status;
}

void guest_repay_thread(chord_guest *guest)
{
    uint32_t count = atomic_fetch_sub(&guest->thread_count, 1);
    if (count >= guest->instances_paid) chord_heap_discharge(guest->heap, thread_bytes(guest));
}

/* ---- what no limit of Wasmtime's holds for --------------------------------------------------------------------- */

/* Further memories, and a shared one where no lid could be put, may together with banks become more than the budget. What
 * counts is what the process really has in memory; that is asked for when the sum is over, and not too often. */
void guest_check_budget(chord_guest *guest)
{
    char why[CHORD_TRAP_BYTES];
    if (guest->shared == NULL) return;
    uint64_t linear = guest_linear_bytes(guest), charged = guest->linear_charged_bytes,
             over = linear > charged ? linear - charged : 0;
    if (over + guest_far_bytes(guest) <= heap_left(guest)) return;
    uint64_t now_ns = chord_clock_ns(), last_ns = atomic_load(&guest->budget_looked_ns);
    if (now_ns - last_ns < LOOK_NS || !atomic_compare_exchange_strong(&guest->budget_looked_ns, &last_ns, now_ns))
        return;
    uint64_t bytes = chord_process_bytes();
    if (bytes <= guest->budget_bytes || atomic_load(&guest->over_budget_ns) != 0) return;
    chord_format(
        why, sizeof why,
        "the process has %.1f MiB in memory, its budget is %.1f MiB: the guest, with %.1f MiB of its own and %.1f MiB in banks, is ended",
        (double)bytes / (double)CHORD_MIB, (double)guest->budget_bytes / (double)CHORD_MIB,
        (double)linear / (double)CHORD_MIB, (double)atomic_load(&guest->bank_bytes) / (double)CHORD_MIB);
    guest_kill(guest, why);
    atomic_store(&guest->over_budget_ns, chord_clock_ns());
}
