/* invoke.c - `--invoke NAME`: words become numbers of the export's own types, and its result is printed by its type. */
#include "arguments.h"
#include "interrupt.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *type_name(char letter)
{
    return letter == 'i' ? "an i32" : letter == 'l' ? "an i64" : letter == 'f' ? "an f32" : "an f64";
}

/* Signed or unsigned, decimal or 0x: both are the same bits. */
static bool read_integer(const char *word, unsigned bits, uint64_t *out)
{
    char *end;
    bool minus = word[0] == '-';
    const char *digits = word + (minus || word[0] == '+');
    if (*digits < '0' || *digits > '9') return false;
    errno = 0;
    uint64_t size = strtoull(digits, &end, digits[0] == '0' && (digits[1] | 32) == 'x' ? 16 : 10);
    uint64_t most = minus ? 1ull << (bits - 1) : bits == 64 ? UINT64_MAX : (1ull << bits) - 1;
    if (*end != '\0' || errno != 0 || size > most) return false;
    *out = minus ? 0 - size : size;
    if (bits == 32) *out = (uint32_t)*out;
    return true;
}

/* A number that is too large for the type becomes infinite only when the word says so. */
static bool read_float(const char *word, bool wide, uint64_t *out)
{
    char *end;
    double d = strtod(word, &end);
    if (end == word || *end != '\0' || word[0] == ' ') return false;
    bool infinite = isinf(d) && strpbrk(word, "iI") != NULL;
    float f = wide ? 0.0f : strtof(word, NULL);
    if (!infinite && (isinf(d) || isinf(f))) return false;
    *out = 0;
    memcpy(out, wide ? (void *)&d : (void *)&f, wide ? sizeof d : sizeof f);
    return true;
}

static bool read_word(const char *word, char letter, uint64_t *out)
{
    if (letter == 'i' || letter == 'l') return read_integer(word, letter == 'i' ? 32 : 64, out);
    return read_float(word, letter == 'd', out);
}

/* The fewest digits that read back as the same number. */
static void print_float(double value, bool wide)
{
    char text[64];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (wide ? strtod(text, NULL) == value : strtof(text, NULL) == (float)value) break;
    }
    puts(isnan(value) ? "nan" : text);
}

static void print_result(char letter, uint64_t bits)
{
    float f;
    double d;
    memcpy(&f, &bits, sizeof f);
    memcpy(&d, &bits, sizeof d);
    if (letter == 'i') printf("%" PRId32 "\n", (int32_t)(uint32_t)bits);
    else if (letter == 'l') printf("%" PRId64 "\n", (int64_t)bits);
    else if (letter == 'f') print_float((double)f, false);
    else if (letter == 'd') print_float(d, true);
}

int invoke_fail(chord_status status, const chord_error *err)
{
    return status == CHORD_CANCELLED && !cli_interrupted() ? cli_fail("%s", err->text) : cli_fail_with(err);
}

int invoke_exit_code(uint32_t code)
{
    if (code <= 255) return (int)code;
    int low = (code & 255) != 0 ? (int)(code & 255) : 255; /* what was no success must not become one */
    cli_note("the guest's exit code is %" PRId32 "; a process can end with 0 to 255 only: %d", (int32_t)code, low);
    return low;
}

int invoke_export(chord_guest *guest, const char *name, char **words, size_t count)
{
    chord_error err;
    chord_guest_signature type;
    uint64_t args[CHORD_GUEST_ARGS_MAX] = {0}, result = 0;
    uint32_t exit_code;
    if (chord_guest_signature_of(guest, name, &type, &err) != CHORD_OK) return cli_fail_with(&err);
    if (strlen(type.args) != count)
        return arguments_usage("%s takes %zu numbers, %zu were given", name, strlen(type.args), count);
    for (size_t i = 0; i < count; i++)
        if (!read_word(words[i], type.args[i], &args[i]))
            return arguments_usage("%s: number %zu is '%s', which is not %s", name, i + 1, words[i],
                                   type_name(type.args[i]));
    chord_status status = chord_guest_call(guest, name, args, count, &result, &err);
    if (status != CHORD_OK) return invoke_fail(status, &err);
    if (chord_guest_exited(guest, &exit_code)) return invoke_exit_code(exit_code);
    print_result(type.result, result);
    return cli_finish_output();
}
