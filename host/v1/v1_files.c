/* v1_files.c - chord_host_v1: the model's files. Read into guest memory, or their pages mapped there. */
#define _GNU_SOURCE
#include "guest_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#define WASM_PAGE 65536u
#define PAGE 4096u

/* The part that a file is of one of the guest's models; NULL: the call has its sentence. */
static const host_model *model_of(host_call *call, uint64_t file, uint32_t *part)
{
    const host_model *m = &call->guest->model, *draft = &call->guest->draft;
    *part = (uint32_t)file;
    if (file < m->count) return m;
    *part = (uint32_t)file - m->count;
    if (file < m->count + draft->count) return draft;
    (void)host_fail(call, CHORD_HOST_INVALID, "file %d is not open: the model has %u", (int)(uint32_t)file, m->count);
    return NULL;
}

static chord_store *file_of(host_call *call, uint64_t file)
{
    uint32_t part;
    const host_model *m = model_of(call, file, &part);
    return m != NULL ? m->stores[part] : NULL;
}

int64_t v1_file_open(host_call *call, const uint64_t *a)
{
    static const char DRAFT[] = CHORD_HOST_DRAFT_FOLDER;
    const host_model *m = &call->guest->model;
    uint32_t first = 0;
    char text[4096], *name = text;
    const char *from = a[1] < sizeof text ? host_bytes(call, a[0], a[1]) : NULL;
    if (from == NULL)
        return host_fail(call, CHORD_HOST_RANGE, "a file's name of %" PRIu64 " bytes is not in memory, or too long",
                         a[1]);
    memcpy(text, from, (size_t)a[1]);
    text[a[1]] = '\0';
    if (strncmp(text, DRAFT, sizeof DRAFT - 1) == 0) {
        name += sizeof DRAFT - 1;
        first = m->count;
        m = &call->guest->draft;
    }
    if (m->count == 0)
        return host_fail(call, CHORD_HOST_INVALID, "this guest was given no %smodel", name != text ? "draft " : "");
    if (name[0] == '\0') return first;
    for (uint32_t i = 0; i < m->count; i++)
        if (chord_text_equal(name, m->names[i])) return first + i;
    return host_fail(call, CHORD_HOST_INVALID, "the guest asked for a file that is not its model");
}

int64_t v1_file_name(host_call *call, const uint64_t *a)
{
    char name[4096];
    uint32_t part;
    const host_model *m = model_of(call, a[0], &part);
    if (m == NULL) return CHORD_HOST_INVALID;
    chord_format(name, sizeof name, "%s%s", m == &call->guest->draft ? CHORD_HOST_DRAFT_FOLDER : "", m->names[part]);
    size_t len = strlen(name), room = (size_t)chord_min_u64(a[2], len + 1);
    char *to = host_bytes(call, a[1], room);
    if (to == NULL)
        return host_fail(call, CHORD_HOST_RANGE, "%" PRIu64 " bytes at %" PRIu64 " are not in memory", a[2], a[1]);
    if (room > 0) {
        memcpy(to, name, room - 1);
        to[room - 1] = '\0';
    }
    return (int64_t)len;
}

int64_t v1_file_size(host_call *call, const uint64_t *a)
{
    const chord_store *store = file_of(call, a[0]);
    return store != NULL ? (int64_t)store->size_bytes : CHORD_HOST_INVALID;
}

int64_t v1_file_align(host_call *call, const uint64_t *a)
{
    const chord_store *store = file_of(call, a[0]);
    return store != NULL ? (int64_t)chord_max_u64(store->align, 1) : CHORD_HOST_INVALID;
}

static int64_t code_of(chord_status status)
{
    return status == CHORD_OK ? CHORD_HOST_OK : status == CHORD_CANCELLED ? CHORD_HOST_CANCELLED : CHORD_HOST_IO;
}

static bool in_file(host_call *call, const chord_store *store, uint64_t offset, uint64_t len)
{
    if (offset <= store->size_bytes && len <= store->size_bytes - offset) return true;
    (void)host_fail(call, CHORD_HOST_RANGE, "%" PRIu64 " bytes at %" PRIu64 " wanted, the file has %" PRIu64, len,
                    offset, store->size_bytes);
    return false;
}

static void count_read(chord_guest *guest, uint64_t bytes)
{
    atomic_fetch_add_explicit(&guest->reads, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&guest->bytes_read, bytes, memory_order_relaxed);
}

int64_t v1_file_read(host_call *call, const uint64_t *a)
{
    chord_store *store = file_of(call, a[0]);
    if (store == NULL) return CHORD_HOST_INVALID;
    void *to = host_bytes(call, a[2], a[3]);
    if (to == NULL)
        return host_fail(call, CHORD_HOST_RANGE, "%" PRIu64 " bytes at %" PRIu64 " are not in memory", a[3], a[2]);
    if (!in_file(call, store, a[1], a[3])) return CHORD_HOST_RANGE;
    chord_status status = chord_store_read(store, a[1], to, (size_t)a[3], call->err);
    if (status == CHORD_OK) count_read(call->guest, a[3]);
    return code_of(status);
}

int64_t v1_file_fetch(host_call *call, const uint64_t *a)
{
    chord_store *store = file_of(call, a[0]);
    uint8_t *data;
    if (store == NULL) return CHORD_HOST_INVALID;
    uint8_t *slot = host_bytes(call, a[3], a[4]);
    if (slot == NULL)
        return host_fail(call, CHORD_HOST_RANGE, "a slot of %" PRIu64 " bytes at %" PRIu64 " is not in memory", a[4],
                         a[3]);
    if (!in_file(call, store, a[1], a[2])) return CHORD_HOST_RANGE;
    uint64_t unit = chord_max_u64(store->align, PAGE);
    if ((uintptr_t)slot % PAGE != 0 || a[4] < 2 * unit || a[4] - 2 * unit < a[2])
        return host_fail(call, CHORD_HOST_INVALID,
                         "a slot for %" PRIu64 " bytes is aligned to %u and has %" PRIu64 " more", a[2], PAGE,
                         2 * unit);
    chord_status status = chord_store_fetch(store, a[1], (size_t)a[2], slot, (size_t)a[4], &data, call->err);
    if (status != CHORD_OK) return code_of(status);
    count_read(call->guest, a[2]);
    return data - slot;
}

/* ---- mapped windows ---------------------------------------------------------------------------------------------- */

int64_t v1_file_prefetch(host_call *call, const uint64_t *a)
{
    chord_store *store = file_of(call, a[0]);
    if (store == NULL) return CHORD_HOST_INVALID;
    if (!in_file(call, store, a[1], a[2])) return CHORD_HOST_RANGE;
    int fd = chord_store_file_descriptor(store);
    if (fd >= 0) posix_fadvise(fd, (off_t)a[1], (off_t)a[2], POSIX_FADV_WILLNEED);
    return CHORD_HOST_OK;
}

/* Memory that never moves: shared, or of 32 bits (Wasmtime reserves all of its addresses). */
static bool memory_stays(const host_call *call) { return call->guest->shared != NULL || !call->guest->wide; }

static guest_window *window_at(chord_guest *guest, const uint8_t *base)
{
    for (uint32_t i = 0; i < GUEST_FILE_WINDOWS_MAX; i++)
        if (base != NULL && guest->windows[i].base == base) return &guest->windows[i];
    return NULL;
}

/* Is a part of [base, base + bytes) seen through another window, of a file or of a bank? */
static bool is_taken(const chord_guest *guest, const guest_window *but, const uint8_t *base, uint64_t bytes)
{
    for (uint32_t i = 0; i < GUEST_FILE_WINDOWS_MAX; i++) {
        const guest_window *w = &guest->windows[i];
        if (w != but && w->base != NULL && base < (uint8_t *)w->base + w->bytes && (uint8_t *)w->base < base + bytes)
            return true;
    }
    for (uint32_t i = 0; i < guest->bank_count; i++) {
        const guest_bank *b = &guest->banks[i];
        if (b->window != NULL && base < (uint8_t *)b->window + b->bytes && (uint8_t *)b->window < base + bytes)
            return true;
    }
    return false;
}

static bool note_lost(chord_guest *guest, guest_window *window)
{
    if (chord_guard_take_failed(window->base)) window->lost = true;
    if (window->lost) guest->lost_pages = true;
    return window->lost;
}

/* Zeroed memory again, not given to another file. The guard stays until the file has left: another thread may be
 * reading. Held: the lock. */
static bool clear_window(chord_guest *guest, guest_window *window)
{
    if (mmap(window->base, window->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
        MAP_FAILED)
        return false;
    (void)note_lost(guest, window);
    chord_guard_remove(window->base);
    atomic_fetch_sub(&guest->mapped_bytes, window->bytes);
    *window = (guest_window){0};
    return true;
}

/* A guest may name its window as the place for an answer, so the host must be able to write there: private pages,
 * copied when written. The guard comes first; without it a file that shrinks would end the process. */
static bool place_window(chord_guest *guest, guest_window *window, uint8_t *base, uint64_t bytes, int fd,
                         uint64_t offset)
{
    if (!chord_guard_add(base, bytes)) return false;
    if (mmap(base, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED, fd, (off_t)offset) ==
        MAP_FAILED) {
        chord_guard_remove(base);
        return false;
    }
    *window = (guest_window){.base = base, .bytes = bytes};
    atomic_fetch_add(&guest->mapped_bytes, bytes);
    return true;
}

static int64_t map_locked(host_call *call, const uint64_t *a, uint8_t *base, int fd)
{
    chord_guest *guest = call->guest;
    uint64_t first = chord_align_down(a[1], PAGE), bytes = chord_align_up(a[1] + a[2], PAGE) - first;
    guest_window *window = window_at(guest, base);
    if ((window != NULL && window->bytes > a[4]) || is_taken(guest, window, base, a[4]))
        return host_fail(call, CHORD_HOST_INVALID, "the window overlaps another one");
    if (window != NULL && !clear_window(guest, window))
        return host_fail(call, CHORD_HOST_MEMORY, "the window cannot be cleared");
    for (uint32_t i = 0; i < GUEST_FILE_WINDOWS_MAX && window == NULL; i++)
        if (guest->windows[i].base == NULL) window = &guest->windows[i];
    if (window == NULL)
        return host_fail(call, CHORD_HOST_LIMIT, "%u windows are mapped already", GUEST_FILE_WINDOWS_MAX);
    if (!place_window(guest, window, base, bytes, fd, first))
        return host_fail(call, CHORD_HOST_MEMORY, "the file cannot be mapped (error %d)", errno);
    return (int64_t)(a[1] - first);
}

int64_t v1_file_map(host_call *call, const uint64_t *a)
{
    chord_store *store = file_of(call, a[0]);
    if (store == NULL) return CHORD_HOST_INVALID;
    if (call->guest->options.copy || !memory_stays(call) || !chord_guard_installed())
        return host_fail(call, CHORD_HOST_UNSUPPORTED, "windows are not offered");
    uint8_t *base = host_bytes(call, a[3], a[4]);
    if (base == NULL || a[3] % WASM_PAGE != 0 || a[4] % WASM_PAGE != 0)
        return host_fail(call, CHORD_HOST_RANGE,
                         "a window of %" PRIu64 " bytes at %" PRIu64 " is not whole pages of memory", a[4], a[3]);
    if (a[2] == 0 || !in_file(call, store, a[1], a[2])) return CHORD_HOST_RANGE;
    if (a[4] < PAGE || chord_align_up(a[1] % PAGE + a[2], PAGE) > a[4])
        return host_fail(call, CHORD_HOST_INVALID,
                         "%" PRIu64 " bytes at %" PRIu64 " do not fit in a window of %" PRIu64, a[2], a[1], a[4]);
    int fd = chord_store_file_descriptor(store);
    if (fd < 0) return host_fail(call, CHORD_HOST_IO, "the file cannot be opened again");
    pthread_mutex_lock(&call->guest->lock);
    int64_t result = map_locked(call, a, base, fd);
    pthread_mutex_unlock(&call->guest->lock);
    return result;
}

int64_t v1_file_unmap(host_call *call, const uint64_t *a)
{
    uint8_t *base = host_bytes(call, a[0], a[1]);
    if (base == NULL)
        return host_fail(call, CHORD_HOST_RANGE, "a window of %" PRIu64 " bytes at %" PRIu64 " is not in memory", a[1],
                         a[0]);
    pthread_mutex_lock(&call->guest->lock);
    guest_window *window = window_at(call->guest, base);
    bool ours = window != NULL && window->bytes <= a[1];
    bool cleared = ours && clear_window(call->guest, window);
    pthread_mutex_unlock(&call->guest->lock);
    if (!ours) return host_fail(call, CHORD_HOST_INVALID, "no window begins at %" PRIu64, a[0]);
    return cleared ? CHORD_HOST_OK : host_fail(call, CHORD_HOST_MEMORY, "the window cannot be cleared");
}

void v1_windows_close(chord_guest *guest)
{
    pthread_mutex_lock(&guest->lock);
    for (uint32_t i = 0; i < GUEST_FILE_WINDOWS_MAX; i++)
        if (guest->windows[i].base != NULL) (void)clear_window(guest, &guest->windows[i]);
    pthread_mutex_unlock(&guest->lock);
}

chord_status v1_windows_check(chord_guest *guest, chord_error *err)
{
    pthread_mutex_lock(&guest->lock);
    for (uint32_t i = 0;
         i < GUEST_FILE_WINDOWS_MAX && atomic_load_explicit(&guest->mapped_bytes, memory_order_relaxed) != 0; i++)
        if (guest->windows[i].base != NULL) (void)note_lost(guest, &guest->windows[i]);
    bool failed = guest->lost_pages;
    guest->lost_pages = false;
    pthread_mutex_unlock(&guest->lock);
    return failed ? chord_fail(err, CHORD_IO,
                               "%s: a page of the mapped file could not be read; the call's results are void",
                               guest->options.model)
                  : CHORD_OK;
}

/* ---- the directory ----------------------------------------------------------------------------------------------- */

int64_t v1_tensor_count(host_call *call, const uint64_t *a)
{
    uint32_t part;
    const host_model *m = model_of(call, a[0], &part);
    int64_t count = 0;
    if (m == NULL) return CHORD_HOST_INVALID;
    for (uint64_t i = 0; i < chord_gguf_tensor_count(m->gguf); i++)
        count += chord_gguf_tensor_at(m->gguf, i)->shard == part;
    return count;
}

static const chord_tensor *find_tensor(const host_model *m, uint32_t part, uint64_t index)
{
    for (uint64_t i = 0; i < chord_gguf_tensor_count(m->gguf); i++) {
        const chord_tensor *t = chord_gguf_tensor_at(m->gguf, i);
        if (t->shard == part && index-- == 0) return t;
    }
    return NULL;
}

int64_t v1_tensor_at(host_call *call, const uint64_t *a)
{
    uint32_t part;
    const host_model *m = model_of(call, a[0], &part);
    if (m == NULL) return CHORD_HOST_INVALID;
    const chord_tensor *t = find_tensor(m, part, a[1]);
    void *to = host_bytes(call, a[2], sizeof(chord_host_tensor));
    if (t == NULL) return host_fail(call, CHORD_HOST_INVALID, "the file has no tensor %" PRIu64, a[1]);
    if (to == NULL) return host_fail(call, CHORD_HOST_RANGE, "a tensor's record at %" PRIu64 " is not in memory", a[2]);
    chord_host_tensor out = {.offset = t->offset, .bytes = t->bytes, .type = (uint32_t)t->type, .file = (uint32_t)a[0]};
    memcpy(out.dims, t->dims, sizeof out.dims);
    chord_format(out.name, sizeof out.name, "%s", t->name);
    memcpy(to, &out, sizeof out);
    return CHORD_HOST_OK;
}
