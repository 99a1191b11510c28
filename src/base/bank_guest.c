/* bank_guest.c - banks of the host. */
#include "base/system_inner.h"
#include "chord_host_v1.h"

struct chord_bank {
    uint64_t bytes;
    int32_t id;
};

chord_bank_kind chord_bank_offered(void)
{
    return chord_host_bank_limit() > 0 ? (chord_bank_kind)chord_host_bank_kind() : CHORD_BANK_NONE;
}

int32_t chord_bank_number(const chord_bank *bank) { return bank->id; }
uint64_t chord_bank_window_skew(void) { return (uint64_t)chord_host_window_skew(); }

chord_status chord_bank_open(chord_heap *heap, uint64_t bytes, chord_bank **out, chord_error *err)
{
    void *p;
    *out = NULL;
    CHORD_TRY(chord_heap_charge(heap, bytes, "a bank of the host", err));
    chord_status status = chord_alloc(heap, sizeof(chord_bank), "a bank", &p, err);
    if (status == CHORD_OK) {
        chord_bank *bank = p;
        *bank = (chord_bank){.bytes = bytes, .id = chord_host_bank_open((size_t)bytes)};
        if (bank->id >= 0) {
            *out = bank;
            return CHORD_OK;
        }
        status = chord_host_failure(err, bank->id, "a bank");
        chord_free(heap, bank);
    }
    chord_heap_discharge(heap, bytes);
    return status;
}

chord_status chord_bank_show(chord_bank *bank, chord_bank *before, void *window, chord_error *err)
{
    (void)before; /* the host knows who is there */
    int32_t code = chord_host_bank_show(bank->id, window);
    return code == CHORD_HOST_OK ? CHORD_OK : chord_host_failure(err, code, "a bank");
}

/* These fail only when misused. */
void chord_bank_read(chord_bank *bank, uint64_t at, void *to, size_t len)
{
    int32_t code = chord_host_bank_read(bank->id, (size_t)at, to, len);
    CHORD_ASSERT(code == CHORD_HOST_OK);
    (void)code;
}

void chord_bank_write(chord_bank *bank, uint64_t at, const void *from, size_t len)
{
    int32_t code = chord_host_bank_write(bank->id, (size_t)at, from, len);
    CHORD_ASSERT(code == CHORD_HOST_OK);
    (void)code;
}

void chord_bank_close(chord_heap *heap, chord_bank *bank)
{
    if (bank == NULL) return;
    chord_host_bank_close(bank->id);
    chord_heap_discharge(heap, bank->bytes);
    chord_free(heap, bank);
}

uint64_t chord_memory_available_bytes(void)
{
    uint64_t limit = chord_host_memory_limit(), reach = UINT64_C(1) << 32;
    return sizeof(void *) == 4 && chord_bank_offered() == CHORD_BANK_NONE ? chord_min_u64(limit, reach) : limit;
}
