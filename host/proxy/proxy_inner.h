/* proxy_inner.h - what the files of the proxy share. Each includes proxy_names.h first of all: what they define is called
 * proxy_*, and compared with chord.h's declarations. */
#ifndef CHORD_PROXY_INNER_H
#define CHORD_PROXY_INNER_H

#include "base/base.h"
#include "proxy.h"

#define PROXY_CALL_BYTES_MAX (64u << 20)

/* The exports by their names: one that is in no list does not compile. */
#define PROXY_EXPORT_NAME(result, name, ...) static const char name[] __attribute__((unused)) = #name;
CHORD_GUEST_EXPORT_MAP(PROXY_EXPORT_NAME)
#undef PROXY_EXPORT_NAME

typedef struct proxy_runtime {
    chord_guest *guest;
    uint64_t handle, budget_bytes, guest_budget_bytes;
    uint32_t threads;
    chord_runtime_options options;
    struct proxy_session *running;
} proxy_runtime;

typedef struct proxy_model {
    proxy_runtime *runtime;
    uint64_t handle;
    chord_guest_model_info info;
    bool described;
} proxy_model;

typedef struct proxy_session {
    proxy_model *model;
    uint64_t handle;
    void (*on_progress)(void *ud, const chord_progress *);
    void *progress_ud;
} proxy_session;

static inline proxy_runtime *proxy_runtime_of(chord_runtime *runtime) { return (proxy_runtime *)(void *)runtime; }
static inline proxy_model *proxy_model_of(const chord_model *model) { return (proxy_model *)(void *)model; }
static inline proxy_session *proxy_session_of(const chord_session *session) { return (proxy_session *)(void *)session; }

/* proxy_call.c: memory of the guest for one call. at 0: none. */
typedef struct proxy_loan {
    proxy_runtime *r;
    uint64_t at;
} proxy_loan;
chord_status proxy_borrow(proxy_runtime *r, const void *from, size_t bytes, proxy_loan *out, chord_error *err);
void proxy_give_back(proxy_loan *loan);
bool proxy_fetch(const proxy_loan *loan, void *to, size_t bytes);
/* A call whose result is a chord_status. */
chord_status proxy_ask(proxy_runtime *r, const char *name, const uint64_t *args, size_t count, chord_error *err);
/* A call that writes `bytes` to its last argument. */
chord_status proxy_ask_for(proxy_runtime *r, const char *name, const uint64_t *args, size_t count, bool fallible,
                           void *to, size_t bytes, chord_error *err);
/* A pointer-sized number that a call writes to its last argument. */
chord_status proxy_ask_for_number(proxy_runtime *r, const char *name, const uint64_t *args, size_t count, uint64_t *out,
                                  chord_error *err);
/* A bool of somebody else's is any byte. */
void proxy_make_bool(bool *b);

#endif
