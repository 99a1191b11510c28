/* wasi_nn_call.c - what one call of wasi-nn says: to the log, to get_error, to the host. */
#include "wasi_nn_inner.h"

static void say_line(const nn_call *call, chord_log_level level, const char *line)
{
    const chord_guest_options *o = call->host->options;
    if (o != NULL && o->on_log != NULL) o->on_log(o->ud, level, line);
}

void nn_say(const nn_call *call, chord_log_level level, const char *format, ...)
{
    char line[640];
    size_t n = chord_format(line, sizeof line, "wasi-nn %s: ", call->import);
    va_list args;
    va_start(args, format);
    chord_vformat(line + n, sizeof line - n, format, args);
    va_end(args);
    say_line(call, level, line);
}

void nn_log(const nn_call *call, const nn_options *options, const char *format, ...)
{
    char text[480];
    va_list args;
    va_start(args, format);
    chord_vformat(text, sizeof text, format, args);
    va_end(args);
    nn_say(call, options->log || options->debug_log ? CHORD_LOG_WARN : CHORD_LOG_INFO, "%s", text);
}

nn_errno nn_fail(const nn_call *call, nn_errno code, const char *format, ...)
{
    char line[sizeof call->nn->sentence];
    size_t n = chord_format(line, sizeof line, "wasi-nn %s: ", call->import);
    va_list args;
    va_start(args, format);
    chord_vformat(line + n, sizeof line - n, format, args);
    va_end(args);
    (void)chord_fail(call->host->err, code == NN_CONTEXT_FULL ? CHORD_FULL : CHORD_INVALID, "%s", line);
    if (call->nn != NULL) {
        chord_mutex_lock(&call->nn->mutex);
        memcpy(call->nn->sentence, line, sizeof line);
        chord_mutex_unlock(&call->nn->mutex);
    }
    say_line(call, code == NN_CONTEXT_FULL ? CHORD_LOG_INFO : CHORD_LOG_WARN, line);
    return code;
}

nn_errno nn_fail_status(const nn_call *call, const chord_error *err)
{
    static const nn_errno CODES[CHORD_STATUS_COUNT] = {
        [CHORD_OK] = NN_RUNTIME_ERROR,         [CHORD_CANCELLED] = NN_RUNTIME_ERROR,
        [CHORD_INVALID] = NN_INVALID_ARGUMENT, [CHORD_NO_MEMORY] = NN_TOO_LARGE,
        [CHORD_BUDGET] = NN_TOO_LARGE,         [CHORD_IO] = NN_RUNTIME_ERROR,
        [CHORD_CORRUPT] = NN_INVALID_ENCODING, [CHORD_UNSUPPORTED] = NN_UNSUPPORTED_OPERATION,
        [CHORD_FULL] = NN_CONTEXT_FULL,        [CHORD_SHORT] = NN_RUNTIME_ERROR,
    };
    nn_errno code = err->status < CHORD_STATUS_COUNT ? CODES[err->status] : NN_RUNTIME_ERROR;
    return nn_fail(call, code, "%s", err->text);
}

bool nn_first_time(const nn_call *call, const char *text, size_t len)
{
    wasi_nn *nn = call->nn;
    uint64_t hash = chord_hash_of(text, len);
    bool first = true;
    chord_mutex_lock(&nn->mutex);
    for (uint32_t i = 0; i < nn->told_count; i++) first = first && nn->told[i] != hash;
    if (first && nn->told_count < NN_TOLD_MAX) nn->told[nn->told_count++] = hash;
    else first = false;
    chord_mutex_unlock(&nn->mutex);
    return first;
}
