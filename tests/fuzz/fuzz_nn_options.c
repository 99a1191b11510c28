/* Arbitrary bytes as wasi-nn metadata: taken within the limits of each key, or refused with a sentence and nothing
 * changed. */
#include "fuzz.h"
#include "wasi_nn/wasi_nn_inner.h"

static char sentence[512];

nn_errno nn_fail(const nn_call *call, nn_errno code, const char *format, ...)
{
    va_list args;
    (void)call;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    return code;
}

nn_errno nn_fail_status(const nn_call *call, const chord_error *err)
{
    return nn_fail(call, NN_TOO_LARGE, "%s", err->text);
}

void nn_say(const nn_call *call, chord_log_level level, const char *format, ...)
{
    (void)call;
    (void)level;
    (void)format;
}

bool nn_first_time(const nn_call *call, const char *text, size_t len)
{
    (void)call;
    return len == 0 || text[0] != '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static wasi_nn nn;
    chord_error err;
    if (nn.heap == NULL) MUST(chord_heap_open(UINT64_C(1) << 28, &nn.heap, &err) == CHORD_OK);
    static const chord_guest_options NONE;
    host_call host = {.options = &NONE};
    nn_call call = {.nn = &nn, .host = &host, .import = "fuzz"};
    nn_options before, options;
    memset(&before, 0, sizeof before); /* what lies between members, too */
    nn_options_default(&before);
    memcpy(&options, &before, sizeof options);
    sentence[0] = '\0';
    nn_errno code = nn_options_read(&call, (const char *)data, size, &options);
    if (code == NN_SUCCESS) {
        const chord_sampling *s = &options.sampling;
        MUST(options.context_tokens <= 1 << 28 && options.chunk_tokens <= 1 << 28 && options.predict_tokens >= -1);
        MUST(s->temperature >= 0 && s->top_p >= 0 && s->min_p >= 0 && s->typical_p >= 0 && s->repeat_penalty >= 0);
    } else {
        MUST(sentence[0] != '\0' && memcmp(&before, &options, sizeof options) == 0);
    }
    MUST(chord_heap_used_bytes(nn.heap) == 0);
    return 0;
}
