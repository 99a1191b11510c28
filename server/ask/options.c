/* options.c - how a text is to be drawn, by the names that OpenAI's, Anthropic's and llama.cpp's clients use. */
#include "ask/ask.h"

#include <float.h>

#define STOPS_MAX 16

typedef struct number_field {
    const char *key;
    size_t offset; /* in chord_sampling */
    double low, high;
} number_field;

static const number_field NUMBERS[] = {
    {"temperature", offsetof(chord_sampling, temperature), 0, 100},
    {"top_p", offsetof(chord_sampling, top_p), 0, 1},
    {"min_p", offsetof(chord_sampling, min_p), 0, 1},
    {"typical_p", offsetof(chord_sampling, typical_p), 0, 1},
    {"repeat_penalty", offsetof(chord_sampling, repeat_penalty), 0.01, 100},
    {"repetition_penalty", offsetof(chord_sampling, repeat_penalty), 0.01, 100},
    {"presence_penalty", offsetof(chord_sampling, presence_penalty), -100, 100},
    {"frequency_penalty", offsetof(chord_sampling, frequency_penalty), -100, 100},
};

/* A mass of 0 leaves one candidate, which the library's 0 does not say. */
static void least_mass(float *mass)
{
    if (*mass <= 0) *mass = FLT_MIN;
}

static bool read_numbers(ask *a, chord_sampling *s)
{
    for (size_t i = 0; i < CHORD_COUNT(NUMBERS); i++) {
        float *field = (float *)(void *)((char *)s + NUMBERS[i].offset);
        if (!ask_number(a, NUMBERS[i].key, NUMBERS[i].low, NUMBERS[i].high, field)) return false;
    }
    if (ask_field(a->root, "top_p") != NULL) least_mass(&s->top_p);
    if (ask_field(a->root, "typical_p") != NULL) least_mass(&s->typical_p);
    return true;
}

/* -1 stands for "any" in both. Without a seed each answer has one of its own, which it tells. */
static bool read_wholes(ask *a, chord_sampling *s)
{
    int64_t top_k = s->top_k, seed = -1, last = s->penalty_tokens;
    if (!ask_whole(a, "top_k", -1, INT32_MAX, &top_k) || !ask_whole(a, "seed", INT64_MIN, INT64_MAX, &seed) ||
        !ask_whole(a, "repeat_last_n", 1, INT32_MAX, &last))
        return false;
    s->top_k = top_k > 0 ? (uint32_t)top_k : 0;
    s->penalty_tokens = (uint32_t)last;
    s->seed = (uint64_t)seed;
    if (seed == -1) s->seed = chord_hash_of(&(uint64_t){chord_clock_ns()}, sizeof(uint64_t)) >> 33;
    return true;
}

static bool read_stop(ask *a, const char *key, const chord_json *stop, const char **out)
{
    if (stop->kind != CHORD_JSON_TEXT || stop->len == 0 || strlen(stop->text) != stop->len)
        return ask_invalid(a, key, "'%s' must be a text that is not empty, or a list of such", key);
    *out = stop->text;
    return true;
}

bool ask_stops(ask *a, const char *key, chord_generate_options *out)
{
    const chord_json *value = ask_field(a->root, key);
    if (value == NULL) return true;
    bool list = value->kind == CHORD_JSON_LIST;
    size_t count = list ? value->len : 1;
    if (count > STOPS_MAX) return ask_invalid(a, key, "'%s' has %zu texts, %d are possible", key, count, STOPS_MAX);
    const char **stops = ask_get(a, (count + 1) * sizeof *stops);
    if (stops == NULL) return false;
    for (size_t i = 0; i < count; i++)
        if (!read_stop(a, key, list ? value->items[i] : value, &stops[i])) return false;
    out->stops = stops;
    out->stop_count = count;
    return true;
}

/* ---- what changes an answer, and is not done ---------------------------------------------------------------------- */

typedef struct unknown_field {
    const char *key;
    double low, high; /* between these it says nothing */
    const char *why;
} unknown_field;

/* Clients of llama.cpp's server send most of them with each request, as what is off. */
static const unknown_field UNKNOWN[] = {
    {"mirostat", 0, 0, "tokens are drawn by top_k, typical_p, top_p, min_p and temperature"},
    {"dry_multiplier", -1e30, 0, "repeat_penalty, presence_penalty and frequency_penalty are there"},
    {"xtc_probability", -1e30, 0, "likely tokens are not left out"},
    {"dynatemp_range", -1e30, 0, "the temperature stays what it is"},
    {"top_n_sigma", -1e30, 0, "tokens are drawn by top_k, typical_p, top_p, min_p and temperature"},
    {"adaptive_target", -1e30, -1e-30, "tokens are drawn by top_k, typical_p, top_p, min_p and temperature"},
    {"n_indent", -1e30, 0, "lines may begin as they like"},
    {"n_cmpl", 0, 1, "'n' answers of one prompt are for /v1/completions"},
};

static bool is_said(const chord_json *value, const unknown_field *u)
{
    if (value->kind == CHORD_JSON_INT) return !((double)value->integer >= u->low && (double)value->integer <= u->high);
    if (value->kind == CHORD_JSON_FLOAT) return !(value->number >= u->low && value->number <= u->high);
    return value->kind != CHORD_JSON_BOOL || value->boolean;
}

static bool refuse_unknown(ask *a)
{
    for (size_t i = 0; i < CHORD_COUNT(UNKNOWN); i++) {
        const chord_json *value = ask_field(a->root, UNKNOWN[i].key);
        if (value != NULL && is_said(value, &UNKNOWN[i]))
            return ask_invalid(a, UNKNOWN[i].key, "'%s' cannot be done here: %s", UNKNOWN[i].key, UNKNOWN[i].why);
    }
    return ask_cannot(a, "lora", "there are no adapters") &&
           ask_cannot(a, "grammar_lazy", "a grammar is of all of the text; tools have forms of their own");
}

bool ask_options(ask *a, chord_generate_options *out, const char *const *max_keys, int64_t least)
{
    *out = a->s->defaults;
    int64_t most = out->max_tokens > 0 ? out->max_tokens : -1;
    for (size_t i = 0; max_keys[i] != NULL; i++) {
        if (!ask_whole(a, max_keys[i], -1, INT32_MAX, &most)) return false;
        if (ask_field(a->root, max_keys[i]) != NULL && most != -1 && most < least)
            return ask_invalid(a, max_keys[i], "'%s' must be at least %lld", max_keys[i], (long long)least);
    }
    out->max_tokens = most > 0 ? (uint32_t)most : 0;
    a->nothing = most == 0;
    return read_numbers(a, &out->sampling) && read_wholes(a, &out->sampling) && ask_stops(a, "stop", out) &&
           ask_bool(a, "ignore_eos", &out->ignore_end) && ask_biases(a, out) && refuse_unknown(a) && ask_form(a, out);
}
