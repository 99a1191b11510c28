/* v1_memory.c - chord_host_v1: banks, memory of the host seen through windows. */
#include "guest_inner.h"

#include <pthread.h>
#include <stdlib.h>

#define WASM_PAGE 65536u
#define BANK_BYTES 4096u /* of the heap, beside its pages */
#define HUGE_BYTES (2 * CHORD_MIB)

int64_t v1_window_skew(host_call *call, const uint64_t *a)
{
    (void)a;
    return call->memory != NULL ? (int64_t)((HUGE_BYTES - (uintptr_t)call->memory % HUGE_BYTES) % HUGE_BYTES) : 0;
}

bool v1_banks_offered(const chord_guest *guest) { return !guest->options.no_banks; }

/* Windows need a memory that never moves and that no other guest gets later. */
static bool windows_offered(const chord_guest *guest) { return guest->shared != NULL && !guest->options.copy; }

/* Without what a bank costs beside its pages. */
static uint64_t bank_room(chord_guest *guest)
{
    uint64_t room = guest_room_bytes(guest);
    return room > BANK_BYTES ? room - BANK_BYTES : 0;
}

int64_t v1_bank_limit(host_call *call, const uint64_t *a)
{
    (void)a;
    return v1_banks_offered(call->guest) ? (int64_t)bank_room(call->guest) : 0;
}

int64_t v1_bank_kind(host_call *call, const uint64_t *a)
{
    (void)a;
    if (!v1_banks_offered(call->guest)) return CHORD_HOST_BANKS_NONE;
    return windows_offered(call->guest) ? CHORD_HOST_BANKS_WINDOWS : CHORD_HOST_BANKS_COPIES;
}

static int64_t open_locked(host_call *call, uint64_t bytes)
{
    chord_guest *guest = call->guest;
    uint32_t id = 0;
    if (guest->banks == NULL) guest->banks = calloc(GUEST_BANKS_MAX, sizeof *guest->banks);
    if (guest->banks == NULL) return host_fail(call, CHORD_HOST_MEMORY, "no memory for a list of banks");
    while (id < guest->bank_count && guest->banks[id].bank != NULL) id++;
    if (id == GUEST_BANKS_MAX)
        return host_fail(call, CHORD_HOST_LIMIT, "the guest has %u banks already", GUEST_BANKS_MAX);
    if (bytes > bank_room(guest) || !guest_make_room(guest, bytes + BANK_BYTES))
        return host_fail(call, CHORD_HOST_MEMORY, "a bank of %" PRIu64 " bytes: the budget has %" PRIu64 " left", bytes,
                         bank_room(guest));
    if (chord_bank_open(guest->heap, bytes, &guest->banks[id].bank, call->err) != CHORD_OK) return CHORD_HOST_MEMORY;
    guest->banks[id].bytes = bytes;
    guest->banks[id].window = NULL;
    if (id == guest->bank_count) guest->bank_count++;
    uint64_t now = atomic_fetch_add(&guest->bank_bytes, bytes) + bytes;
    if (now > atomic_load(&guest->bank_bytes_peak)) atomic_store(&guest->bank_bytes_peak, now);
    return id;
}

int64_t v1_bank_open(host_call *call, const uint64_t *a)
{
    if (!v1_banks_offered(call->guest)) return host_fail(call, CHORD_HOST_UNSUPPORTED, "banks are not offered");
    if (a[0] == 0 || a[0] % WASM_PAGE != 0)
        return host_fail(call, CHORD_HOST_INVALID, "a bank of %" PRIu64 " bytes is not whole pages", a[0]);
    pthread_mutex_lock(&call->guest->lock);
    int64_t result = open_locked(call, a[0]);
    pthread_mutex_unlock(&call->guest->lock);
    return result;
}

static guest_bank *bank_of(chord_guest *guest, uint64_t id)
{
    return id < guest->bank_count && guest->banks[id].bank != NULL ? &guest->banks[id] : NULL;
}

/* A window shows one bank at a time: one that overlaps it elsewhere is in the way. */
static int64_t show_locked(host_call *call, guest_bank *bank, uint8_t *window)
{
    chord_guest *guest = call->guest;
    guest_bank *before = NULL;
    for (uint32_t i = 0; i < guest->bank_count; i++) {
        guest_bank *other = &guest->banks[i];
        uint8_t *at = other->window;
        if (other == bank || at == NULL || window >= at + other->bytes || at >= window + bank->bytes) continue;
        if (at != window || other->bytes != bank->bytes)
            return host_fail(call, CHORD_HOST_INVALID, "the window overlaps that of another bank");
        before = other;
    }
    for (uint32_t i = 0; i < GUEST_FILE_WINDOWS_MAX; i++) {
        uint8_t *at = guest->windows[i].base;
        if (at != NULL && window < at + guest->windows[i].bytes && at < window + bank->bytes)
            return host_fail(call, CHORD_HOST_INVALID, "a file is mapped in this window");
    }
    chord_status status = chord_bank_show(bank->bank, before != NULL ? before->bank : NULL, window, call->err);
    if (status != CHORD_OK) return CHORD_HOST_MEMORY;
    if (before != NULL) before->window = NULL;
    bank->window = window;
    return CHORD_HOST_OK;
}

int64_t v1_bank_show(host_call *call, const uint64_t *a)
{
    chord_guest *guest = call->guest;
    if (!windows_offered(guest))
        return host_fail(call, CHORD_HOST_UNSUPPORTED, "banks are not shown here, only read and written");
    pthread_mutex_lock(&guest->lock);
    guest_bank *bank = bank_of(guest, a[0]);
    uint8_t *window = bank != NULL ? host_bytes(call, a[1], bank->bytes) : NULL;
    int64_t result;
    if (bank == NULL) result = host_fail(call, CHORD_HOST_INVALID, "bank %d is not open", (int)(uint32_t)a[0]);
    else if (window == NULL || (uintptr_t)window % 4096 != 0)
        result = host_fail(call, CHORD_HOST_RANGE,
                           "a window of %" PRIu64 " bytes at %" PRIu64 " is not whole pages of memory", bank->bytes,
                           a[1]);
    else if (bank->users != 0)
        result = host_fail(call, CHORD_HOST_INVALID, "bank %d is being read, written or computed with",
                           (int)(uint32_t)a[0]);
    else result = show_locked(call, bank, window);
    pthread_mutex_unlock(&guest->lock);
    return result;
}

uint8_t *v1_bank_use(host_call *call, uint64_t id, uint64_t at, uint64_t len, guest_bank **out)
{
    chord_guest *guest = call->guest;
    uint8_t *bytes = NULL;
    pthread_mutex_lock(&guest->lock);
    guest_bank *bank = bank_of(guest, id);
    if (bank != NULL && bank->window == NULL && at <= bank->bytes && len <= bank->bytes - at) {
        bank->users++;
        bytes = (uint8_t *)chord_bank_bytes(bank->bank) + at;
    }
    pthread_mutex_unlock(&guest->lock);
    *out = bank;
    if (bytes == NULL)
        (void)host_fail(call, CHORD_HOST_RANGE,
                        "%" PRIu64 " bytes at %" PRIu64 " of bank %d: not open, shown in a window, or out of range",
                        len, at, (int)(uint32_t)id);
    return bytes;
}

void v1_bank_leave(host_call *call, guest_bank *bank)
{
    pthread_mutex_lock(&call->guest->lock);
    bank->users--;
    pthread_mutex_unlock(&call->guest->lock);
}

static int64_t copy(host_call *call, const uint64_t *a, bool to_bank)
{
    guest_bank *bank;
    uint8_t *memory = host_bytes(call, a[2], a[3]);
    if (memory == NULL)
        return host_fail(call, CHORD_HOST_RANGE, "%" PRIu64 " bytes at %" PRIu64 " are not in memory", a[3], a[2]);
    uint8_t *bytes = v1_bank_use(call, a[0], a[1], a[3], &bank);
    if (bytes == NULL) return CHORD_HOST_RANGE;
    memcpy(to_bank ? bytes : memory, to_bank ? memory : bytes, (size_t)a[3]);
    v1_bank_leave(call, bank);
    return CHORD_HOST_OK;
}

int64_t v1_bank_read(host_call *call, const uint64_t *a) { return copy(call, a, false); }
int64_t v1_bank_write(host_call *call, const uint64_t *a) { return copy(call, a, true); }

static void close_bank(chord_guest *guest, guest_bank *bank)
{
    chord_bank_close(guest->heap, bank->bank);
    atomic_fetch_sub(&guest->bank_bytes, bank->bytes);
    *bank = (guest_bank){0};
}

int64_t v1_bank_close(host_call *call, const uint64_t *a)
{
    pthread_mutex_lock(&call->guest->lock);
    guest_bank *bank = bank_of(call->guest, a[0]);
    if (bank != NULL && bank->users != 0) bank = NULL;
    if (bank != NULL) close_bank(call->guest, bank);
    pthread_mutex_unlock(&call->guest->lock);
    return bank != NULL ? CHORD_HOST_OK
                        : host_fail(call, CHORD_HOST_INVALID, "bank %d is not open", (int)(uint32_t)a[0]);
}

void v1_banks_close(chord_guest *guest)
{
    for (uint32_t i = 0; i < guest->bank_count; i++)
        if (guest->banks[i].bank != NULL) close_bank(guest, &guest->banks[i]);
    free(guest->banks);
    guest->banks = NULL;
    guest->bank_count = 0;
}
