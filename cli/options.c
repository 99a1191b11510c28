/* options.c - command lines to cli_args, and help out of the same table. */
#include "options.h"

#include "host.h"
#include "terminal.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 128
#define NAME_BYTES_MAX 64
#define HELP_COLUMN 28
#define HELP_WIDTH 100

int cli_usage(const cli_command *command, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "chord: %s: ", command->name);
    va_start(args, format);
    cli_vsay(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n(`chord %s --help` lists what it takes)\n", command->name);
    return CLI_USAGE;
}

/* ---- the nearest name --------------------------------------------------------------------------------- */

/* Insertions, deletions, replacements and swaps of neighbours that make b of a; names are short. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][NAME_BYTES_MAX + 1], la = strlen(a), lb = strlen(b);
    if (la > NAME_BYTES_MAX || lb > NAME_BYTES_MAX) return NAME_BYTES_MAX;
    for (size_t j = 0; j <= lb; j++) rows[0][j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t *now = rows[i % 3], *last = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best) best = last[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[la % 3][lb];
}

const char *cli_nearest(const char *word, const char *const *names, size_t count)
{
    const char *best = NULL;
    size_t least = strlen(word) / 3 + 2;
    for (size_t i = 0; i < count; i++) {
        size_t d = distance(word, names[i]);
        if (strlen(word) > 4 && strncmp(names[i], word, strlen(word)) == 0) d = 1;
        if (d >= least) continue;
        least = d;
        best = names[i];
    }
    return best;
}

/* ---- finding an option ----------------------------------------------------------------------------------- */

/* Steps through "-c --ctx-size": copies the next alias, returns what follows it, NULL when there is none. */
static const char *next_alias(const char *aliases, char out[NAME_BYTES_MAX])
{
    if (aliases == NULL || *aliases == '\0') return NULL;
    size_t n = strcspn(aliases, " ");
    snprintf(out, NAME_BYTES_MAX, "%.*s", (int)n, aliases);
    return aliases[n] == ' ' ? aliases + n + 1 : aliases + n;
}

static bool is_called(const cli_option *option, const char *name)
{
    char alias[NAME_BYTES_MAX];
    if (strcmp(option->name, name) == 0) return true;
    for (const char *rest = option->aliases; (rest = next_alias(rest, alias)) != NULL;)
        if (strcmp(alias, name) == 0) return true;
    return false;
}

const cli_option *cli_find_option(const cli_command *command, const char *name)
{
    for (size_t i = 0; i < command->option_count; i++)
        if (is_called(&command->options[i], name)) return &command->options[i];
    return NULL;
}

static int unknown_option(const cli_command *command, const char *name)
{
    const char *names[NAMES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < command->option_count && count < NAMES_MAX; i++) names[count++] = command->options[i].name;
    const char *nearest = strlen(name) > 2 ? cli_nearest(name, names, count) : NULL;
    if (nearest != NULL) return cli_usage(command, "there is no option '%s'; did you mean '%s'?", name, nearest);
    return cli_usage(command, "there is no option '%s'", name);
}

/* ---- values ------------------------------------------------------------------------------------------------ */

static bool parse_u64(const char *text, uint64_t *out)
{
    char *end;
    if (*text < '0' || *text > '9') return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return *end == '\0' && errno == 0;
}

static bool parse_i64(const char *text, int64_t *out)
{
    uint64_t size;
    bool minus = *text == '-';
    if (!parse_u64(text + minus, &size) || size > INT64_MAX) return false;
    *out = minus ? -(int64_t)size : (int64_t)size;
    return true;
}

static bool parse_f64(const char *text, double *out)
{
    char *end;
    if (*text == '\0' || text[strspn(text, "+-.eE0123456789")] != '\0')
        return false; /* strtod also takes nan, inf, hex and spaces */
    *out = strtod(text, &end);
    return *end == '\0' && *out - *out == 0;
}

/* 1536, 512M, 1.5G, 512MiB, 512MB: K, M, G and T are powers of 1024 in every spelling. */
bool cli_size(const char *text, uint64_t *out)
{
    char *end;
    double value = strtod(text, &end), unit = 1;
    if (end == text || end != text + strspn(text, "0123456789."))
        return false; /* strtod also takes signs, exponents, hex */
    static const char LETTERS[] = "KMGT";
    char letter = *end >= 'a' && *end <= 'z' ? (char)(*end - 32) : *end;
    const char *at = letter != '\0' ? strchr(LETTERS, letter) : NULL;
    if (at != NULL) {
        for (const char *l = LETTERS; l <= at; l++) unit *= 1024;
        end++;
        if (*end == 'i' && (end[1] == 'B' || end[1] == 'b')) end++;
    }
    if (*end == 'B' || *end == 'b') end++;
    value *= unit;
    if (*end != '\0' || !(value >= 1) || value > 9e18) return false;
    *out = (uint64_t)value;
    return true;
}

static bool parse_choice(const char *list, const char *text, uint32_t *out)
{
    for (uint32_t i = 0; *list != '\0'; i++) {
        size_t n = strcspn(list, "|");
        if (strlen(text) == n && strncmp(list, text, n) == 0) {
            *out = i;
            return true;
        }
        list += list[n] == '|' ? n + 1 : n;
    }
    return false;
}

/* "a|b|c" -> "a, b or c" */
static void choice_words(const char *list, char *out, size_t cap)
{
    size_t used = 0;
    for (const char *p = list; *p != '\0' && used + 8 < cap; p++) {
        if (*p != '|') out[used++] = *p;
        else used += (size_t)snprintf(out + used, cap - used, "%s", strchr(p + 1, '|') != NULL ? ", " : " or ");
    }
    out[used] = '\0';
}

static int out_of_range(const cli_command *command, const cli_option *o, const char *text)
{
    return cli_usage(command, "%s takes a number from %.10g to %.10g, not '%s'", o->name, o->low, o->high, text);
}

static int take_number(const cli_command *command, const cli_option *o, const char *text, void *field)
{
    double number = 0;
    uint64_t u = 0;
    int64_t i = 0;
    bool ok = o->kind == CLI_I64   ? parse_i64(text, &i)
              : o->kind == CLI_F32 ? parse_f64(text, &number)
                                   : parse_u64(text, &u);
    if (!ok)
        return cli_usage(command, "%s takes a %s, not '%s'", o->name, o->kind == CLI_F32 ? "number" : "whole number",
                         text);
    if (o->kind == CLI_I64) number = (double)i;
    if (o->kind == CLI_U32 || o->kind == CLI_U64) number = (double)u;
    if ((o->low != 0 || o->high != 0) && (number < o->low || number > o->high)) return out_of_range(command, o, text);
    if (o->kind == CLI_U32) *(uint32_t *)field = (uint32_t)u;
    else if (o->kind == CLI_U64) *(uint64_t *)field = u;
    else if (o->kind == CLI_I64) *(int64_t *)field = i;
    else *(float *)field = (float)number;
    return CLI_OK;
}

static int take_value(const cli_command *command, const cli_option *o, const char *text, cli_args *args)
{
    void *field = (char *)args + o->field;
    char words[128];
    switch (o->kind) {
    case CLI_TEXT: *(const char **)field = text; return CLI_OK;
    case CLI_TEXTS:
        if (text[0] == '\0') return cli_usage(command, "%s takes a text that is not empty", o->name);
        if (args->stop_count == CLI_STOPS_MAX)
            return cli_usage(command, "%s can be given %d times", o->name, CLI_STOPS_MAX);
        args->stops[args->stop_count++] = text;
        return CLI_OK;
    case CLI_SIZE:
        if (cli_size(text, field)) return CLI_OK;
        return cli_usage(command, "%s takes a size such as 512M or 1.5G, not '%s'", o->name, text);
    case CLI_CHOICE:
        if (parse_choice(o->value, text, field)) return CLI_OK;
        choice_words(o->value, words, sizeof words);
        return cli_usage(command, "%s takes %s, not '%s'", o->name, words, text);
    default: return take_number(command, o, text, field);
    }
}

/* ---- the command line ------------------------------------------------------------------------------------------ */

static int take_option(const cli_command *command, char **argv, int argc, int *at, cli_args *args)
{
    char name[NAME_BYTES_MAX];
    const char *word = argv[*at], *equals = strchr(word, '=');
    size_t len = equals != NULL ? (size_t)(equals - word) : strlen(word);
    if (len >= sizeof name) return unknown_option(command, word);
    snprintf(name, sizeof name, "%.*s", (int)len, word);
    const cli_option *o = cli_find_option(command, name);
    if (o == NULL) return unknown_option(command, name);
    if (o->field == CLI_FIELD(seed)) args->seed_given = true;
    if (o->kind == CLI_FLAG) {
        if (equals != NULL) return cli_usage(command, "%s takes no value", o->name);
        *((bool *)((char *)args + o->field)) = true;
        return CLI_OK;
    }
    if (equals != NULL) return take_value(command, o, equals + 1, args);
    if (*at + 1 >= argc) return cli_usage(command, "%s needs a value (%s)", name, o->value);
    return take_value(command, o, argv[++*at], args);
}

int cli_option_words(const cli_command *command, const char *word)
{
    char name[NAME_BYTES_MAX];
    size_t len = strcspn(word, "=");
    if (word[0] != '-' || len >= sizeof name) return 0;
    snprintf(name, sizeof name, "%.*s", (int)len, word);
    const cli_option *o = cli_find_option(command, name);
    if (o == NULL) return 0;
    return o->kind == CLI_FLAG || word[len] == '=' ? 1 : 2;
}

int cli_parse(const cli_command *command, int argc, char **argv, cli_args *args, bool *help)
{
    bool options_over = false;
    *args = (cli_args){.prefetch = -1, .chunks = -1, .top_p = 1, .typical_p = 1, .repeat_penalty = 1};
    *help = false;
    if (command->defaults != NULL) command->defaults(args);
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (!options_over && strcmp(word, "--") == 0) {
            options_over = true;
        } else if (!options_over && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
            *help = true;
            return CLI_OK;
        } else if (!options_over && word[0] == '-' && word[1] != '\0') {
            int code = take_option(command, argv, argc, &i, args);
            if (code != CLI_OK) return code;
        } else if (args->word_count + (args->model != NULL) >= command->words_max) { /* --model may come after a word */
            return cli_usage(command, "'%s' is one word too many (quote a text with spaces)", word);
        } else {
            args->words[args->word_count++] = word;
        }
    }
    if (args->model == NULL && args->word_count > 0) { /* the first word is the model */
        args->model = args->words[0];
        memmove(args->words, args->words + 1, sizeof args->words - sizeof args->words[0]);
        args->words[CLI_WORDS_MAX - 1] = NULL;
        args->word_count--;
    }
    if (args->word_count >= command->words_max && command->words_max > 0)
        return cli_usage(command, "'%s' is one word too many, the model was given with --model", args->words[0]);
    return CLI_OK;
}

/* ---- help -------------------------------------------------------------------------------------------------------- */

/* Words from the current column on; later lines are indented. */
static void print_wrapped(FILE *out, const char *text, int indent, int column)
{
    bool first = true;
    while (*text != '\0') {
        int word = (int)strcspn(text, " ");
        if (!first && column + 1 + word > HELP_WIDTH) {
            cli_print_to(out, "\n%*s", indent, "");
            column = indent;
        } else if (!first) {
            cli_put(out, " ", 1);
            column++;
        }
        cli_put(out, text, (size_t)word);
        column += word;
        text += word + (text[word] == ' ');
        first = false;
    }
    cli_put(out, "\n", 1);
}

static void print_option(FILE *out, const cli_option *o)
{
    char alias[NAME_BYTES_MAX] = "", left[128];
    bool letter = next_alias(o->aliases, alias) != NULL && alias[0] == '-' && alias[1] != '-';
    snprintf(left, sizeof left, "%s%s%s%s%s", letter ? alias : "  ", letter ? ", " : "  ", o->name,
             o->value != NULL ? " " : "", o->value != NULL ? o->value : "");
    int column = 2 + (int)strlen(left);
    cli_print_to(out, "  %s", left);
    if (column >= HELP_COLUMN) {
        cli_put(out, "\n", 1);
        column = 0;
    }
    cli_print_to(out, "%*s", HELP_COLUMN - column, "");
    print_wrapped(out, o->help, HELP_COLUMN, HELP_COLUMN);
}

void cli_print_help(const cli_command *command, FILE *out)
{
    cli_print_to(out, "usage: chord %s %s\n\n", command->name, command->usage);
    print_wrapped(out, command->text, 0, 0);
    cli_print_to(out, "\noptions:\n");
    for (size_t i = 0; i < command->option_count; i++) print_option(out, &command->options[i]);
    cli_print_to(out, "\nexamples:\n%s%s", command->examples, cli_host_help);
}
