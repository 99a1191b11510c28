/* v1.c - chord_host_v1: version, clocks, words, limits. */
#include "guest_inner.h"

int64_t v1_version(host_call *call, const uint64_t *a)
{
    (void)call, (void)a;
    return CHORD_HOST_VERSION;
}

int64_t v1_clock_ns(host_call *call, const uint64_t *a)
{
    (void)call, (void)a;
    return (int64_t)chord_clock_ns();
}

int64_t v1_clock_unix_s(host_call *call, const uint64_t *a)
{
    (void)call, (void)a;
    return chord_clock_unix_s();
}

/* At most 1 KiB of it, control characters made harmless: a guest must not write to its host's
 * terminal what it likes. */
int64_t v1_log(host_call *call, const uint64_t *a)
{
    char line[1025];
    const chord_guest_options *o = &call->guest->options;
    size_t len = (size_t)chord_min_u64(a[2], sizeof line - 1);
    const char *text = host_bytes(call, a[1], len);
    if (text == NULL || o->on_log == NULL) return 0;
    memcpy(line, text, len);
    line[len] = '\0';
    host_make_plain(line);
    o->on_log(o->ud, a[0] == CHORD_LOG_WARN ? CHORD_LOG_WARN : CHORD_LOG_INFO, line);
    return 0;
}

int64_t v1_error_text(host_call *call, const uint64_t *a)
{
    const char *text = call->err->text;
    size_t len = strlen(text), room = (size_t)chord_min_u64(a[1], len + 1);
    char *to = host_bytes(call, a[0], room);
    if (to == NULL || room == 0) return (int64_t)len;
    memcpy(to, text, room - 1);
    to[room - 1] = '\0';
    return (int64_t)len;
}

int64_t v1_cancelled(host_call *call, const uint64_t *a)
{
    (void)a;
    return atomic_load(&call->guest->cancelled);
}

int64_t v1_emit(host_call *call, const uint64_t *a)
{
    const chord_guest_options *o = &call->guest->options;
    const char *text = host_bytes(call, a[0], a[1]);
    if (text == NULL)
        return host_fail(call, CHORD_HOST_RANGE, "text of %" PRIu64 " bytes at %" PRIu64 " is not in memory", a[1],
                         a[0]);
    return o->on_emit != NULL && !o->on_emit(o->ud, text, (size_t)a[1]);
}

int64_t v1_progress(host_call *call, const uint64_t *a)
{
    const chord_guest_options *o = &call->guest->options;
    chord_host_progress copy;
    const void *from = host_bytes(call, a[0], sizeof copy);
    if (from == NULL || o->on_progress == NULL) return 0;
    memcpy(&copy, from, sizeof copy);
    if (copy.phase > CHORD_PHASE_DECODE) copy.phase = CHORD_PHASE_OPEN;
    o->on_progress(o->ud, &copy);
    guest_measure(call->guest);
    return 0;
}

int64_t v1_past_write(host_call *call, const uint64_t *a)
{
    (void)a;
    return host_fail(call, CHORD_HOST_UNSUPPORTED, "this host keeps no sessions");
}

int64_t v1_past_read(host_call *call, const uint64_t *a) { return v1_past_write(call, a); }

/* Linear memory and banks together. */
int64_t v1_memory_limit(host_call *call, const uint64_t *a)
{
    (void)a;
    const chord_guest *guest = call->guest;
    uint64_t others = chord_heap_used_bytes(guest->heap) - guest->linear_charged_bytes -
                      atomic_load(&call->guest->bank_bytes);
    return (int64_t)(v1_banks_offered(guest) ? chord_heap_ceiling_bytes(guest->heap) - others
                                             : guest->linear_bytes_max);
}

#define ROW(name, takes, gives) {#name, takes, gives, v1_##name},
static const host_import IMPORTS[] = {CHORD_HOST_IMPORT_MAP(ROW)};

/* Windows and banks are the guest's own: the threads of one share them. */
static chord_status open_v1(const host_given *given, void **state, chord_error *err)
{
    (void)err;
    *state = given->guest;
    return CHORD_OK;
}

static void close_v1(void *guest)
{
    v1_windows_close(guest);
    v1_banks_close(guest);
}

static chord_status check_v1(void *guest, chord_error *err) { return v1_windows_check(guest, err); }

const host_service v1_service = {.module = "chord_host_v1",
                                 .imports = IMPORTS,
                                 .import_count = CHORD_COUNT(IMPORTS),
                                 .open = open_v1,
                                 .close = close_v1,
                                 .check = check_v1};
