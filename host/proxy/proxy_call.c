/* proxy_call.c - calls of the guest's exports: what they read and write goes through memory that the guest lends. */
#include "proxy_names.h"

#include "interrupt.h"
#include "proxy_inner.h"

chord_status proxy_borrow(proxy_runtime *r, const void *from, size_t bytes, proxy_loan *out, chord_error *err)
{
    uint64_t args[] = {bytes > 0 ? bytes : 1};
    *out = (proxy_loan){.r = r};
    if (bytes > PROXY_CALL_BYTES_MAX)
        return chord_fail(err, CHORD_INVALID, "%zu bytes are too many for one call of a guest", bytes);
    CHORD_TRY(chord_guest_call(r->guest, guest_alloc, args, 1, &out->at, err));
    void *to = out->at != 0 ? chord_guest_bytes(r->guest, out->at, bytes) : NULL;
    if (to == NULL) {
        out->at = 0;
        return chord_fail(err, CHORD_NO_MEMORY, "the guest has no memory for %zu bytes", bytes);
    }
    if (from != NULL) memcpy(to, from, bytes);
    return CHORD_OK;
}

void proxy_give_back(proxy_loan *l)
{
    if (l->at != 0) (void)chord_guest_call(l->r->guest, guest_free, &l->at, 1, NULL, NULL);
    l->at = 0;
}

bool proxy_fetch(const proxy_loan *l, void *to, size_t bytes)
{
    const void *from = chord_guest_bytes(l->r->guest, l->at, bytes);
    if (from != NULL) memcpy(to, from, bytes);
    return from != NULL;
}

/* The guest's own sentence. */
static chord_status guest_failure(proxy_runtime *r, uint64_t status, chord_error *err)
{
    chord_error sentence = {0};
    proxy_loan l;
    if (proxy_borrow(r, NULL, sizeof sentence, &l, NULL) == CHORD_OK) {
        uint64_t args[] = {l.at};
        if (chord_guest_call(r->guest, guest_error, args, 1, NULL, NULL) == CHORD_OK)
            (void)proxy_fetch(&l, &sentence, sizeof sentence);
        proxy_give_back(&l);
    }
    sentence.text[sizeof sentence.text - 1] = '\0';
    chord_status ours = status < CHORD_STATUS_COUNT ? (chord_status)status : CHORD_CORRUPT;
    return chord_fail(err, ours, "%s", sentence.text[0] != '\0' ? sentence.text : chord_status_text(ours));
}

/* Nobody interrupted it: its time was over, and the commands are to say so. */
static chord_status end_of_time(chord_error *err)
{
    chord_error sentence = *err;
    return chord_fail(err, CHORD_CORRUPT, "%s", sentence.text);
}

chord_status proxy_ask(proxy_runtime *r, const char *name, const uint64_t *args, size_t count, chord_error *err)
{
    uint64_t status;
    chord_status called = chord_guest_call(r->guest, name, args, count, &status, err);
    if (called == CHORD_CANCELLED && !cli_interrupted()) return end_of_time(err);
    if (called != CHORD_OK) return called;
    return status == CHORD_OK ? CHORD_OK : guest_failure(r, status, err);
}

chord_status proxy_ask_for(proxy_runtime *r, const char *name, const uint64_t *args, size_t count, bool fallible,
                           void *to, size_t bytes, chord_error *err)
{
    uint64_t all[8];
    proxy_loan l;
    CHORD_TRY(proxy_borrow(r, NULL, bytes, &l, err));
    memcpy(all, args, count * sizeof *args);
    all[count] = l.at;
    chord_status status = fallible ? proxy_ask(r, name, all, count + 1, err)
                                   : chord_guest_call(r->guest, name, all, count + 1, NULL, err);
    if (status == CHORD_OK && !proxy_fetch(&l, to, bytes))
        status = chord_fail(err, CHORD_CORRUPT, "%s: the guest's memory is gone", name);
    proxy_give_back(&l);
    return status;
}

chord_status proxy_ask_for_number(proxy_runtime *r, const char *name, const uint64_t *args, size_t count, uint64_t *out,
                                  chord_error *err)
{
    *out = 0;
    size_t bytes = chord_guest_is_wide(r->guest) ? 8 : 4;
    return proxy_ask_for(r, name, args, count, true, out, bytes, err);
}

void proxy_make_bool(bool *b)
{
    unsigned char byte;
    memcpy(&byte, b, 1);
    *b = byte != 0;
}
