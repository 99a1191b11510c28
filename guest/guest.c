/* guest.c - the core as a WebAssembly module: what a host calls, and how the module reads the model's bytes.
 *
 * One instance runs one model. The host answers two imports, module "env":
 *   chord_clock_ns() -> i64                     a monotonic clock (src/base/system_wasm.c)
 *   chord_read(offset i64, to, length) -> i32   length bytes of the model at offset into memory at `to`; 0, or failed
 * Pointers and lengths are i32 in wasm32, i64 in wasm64. The same file compiles natively, so that both can be compared. */
#include "guest.h"

#if defined(__wasm__)
__attribute__((import_module("env"), import_name("chord_read")))
#endif
int32_t chord_import_read(uint64_t offset, void *to, size_t length);

static struct {
    chord_runtime *runtime;
    chord_model *model;
    chord_session *session;
    chord_error error;
    chord_generate_result made;
    uint32_t count; /* of tokens */
    int32_t tokens[GUEST_TOKENS_MAX];
} guest;

static chord_status read_bytes(void *ud, uint64_t offset, void *to, size_t length)
{
    (void)ud;
    return chord_import_read(offset, to, length) == 0 ? CHORD_OK : CHORD_IO;
}

static chord_status open_all(uint64_t model_bytes, uint64_t budget_bytes, uint32_t context_tokens)
{
    chord_runtime_options options = {.budget_bytes = budget_bytes};
    chord_source source = {.read = read_bytes, .size_bytes = model_bytes};
    chord_model_options model = {.context_tokens = context_tokens};
    chord_status status = chord_runtime_open(&options, &guest.runtime, &guest.error);
    if (status == CHORD_OK) status = chord_model_open(guest.runtime, &source, &model, &guest.model, &guest.error);
    if (status == CHORD_OK) status = chord_session_open(guest.model, &guest.session, &guest.error);
    return status;
}

GUEST_EXPORT("guest_open") int32_t guest_open(uint64_t model_bytes, uint64_t budget_bytes, uint32_t context_tokens)
{
    guest_close();
    chord_status status = open_all(model_bytes, budget_bytes, context_tokens);
    if (status != CHORD_OK) guest_close();
    return (int32_t)status;
}

GUEST_EXPORT("guest_close") void guest_close(void)
{
    chord_session_close(guest.session);
    chord_model_close(guest.model);
    chord_runtime_close(guest.runtime);
    guest.session = NULL;
    guest.model = NULL;
    guest.runtime = NULL;
}

static bool keep_token(void *ud, const chord_piece *piece)
{
    (void)ud;
    guest.tokens[guest.count++] = piece->token;
    return guest.count < GUEST_TOKENS_MAX;
}

GUEST_EXPORT("guest_generate") int32_t guest_generate(uint32_t prompt_tokens, uint32_t max_tokens)
{
    if (guest.session == NULL || prompt_tokens > GUEST_TOKENS_MAX || max_tokens > GUEST_TOKENS_MAX - prompt_tokens)
        return CHORD_INVALID;
    chord_generate_options options = {.max_tokens = max_tokens, .ignore_end = true};
    guest.count = prompt_tokens;
    chord_status status = chord_session_sync(guest.session, guest.tokens, prompt_tokens, NULL, &guest.error);
    if (status == CHORD_OK)
        status = chord_session_generate(guest.session, &options, keep_token, NULL, &guest.made, &guest.error);
    return (int32_t)status;
}

GUEST_EXPORT("guest_tokens") int32_t *guest_tokens(void) { return guest.tokens; }
GUEST_EXPORT("guest_token_count") uint32_t guest_token_count(void) { return guest.count; }
GUEST_EXPORT("guest_logits_hash") uint64_t guest_logits_hash(void) { return guest.made.logits_hash; }
GUEST_EXPORT("guest_error") const char *guest_error(void) { return guest.error.text; }
