/* Where each pre-tokenizer cuts, against the reference runtime's (tests/golden/make_pieces.py); and all names of them. */
#include "check.h"
#include "text/vocab_inner.h"

#include <stdlib.h>

#define TEXTS_MAX 128

typedef struct bytes {
    char *data;
    size_t len;
} bytes;

static bytes texts[TEXTS_MAX];
static size_t text_count;

static char *read_file(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/golden/%s", CHORD_TESTS_DIR, name);
    FILE *file = fopen(path, "rb");
    CHECK_SAY(file != NULL, "%s", path);
    if (file == NULL) exit(1);
    char *text = calloc(1, 1 << 18);
    CHECK(fread(text, 1, (1 << 18) - 1, file) > 0);
    fclose(file);
    return text;
}

/* A quoted line -> its bytes, in place; returns the next line. */
static char *unescape(char *line, bytes *out)
{
    char *from = line + 1, *to = from;
    out->data = from;
    while (*from != '"') {
        unsigned byte = (unsigned char)*from++;
        if (byte == '\\') {
            byte = (unsigned char)*from++;
            if (byte == 'x') {
                char hex[3] = {from[0], from[1], 0};
                byte = (unsigned)strtoul(hex, NULL, 16);
                from += 2;
            } else {
                byte = byte == 'n' ? '\n' : byte == 't' ? '\t' : byte == 'r' ? '\r' : byte;
            }
        }
        *to++ = (char)byte;
    }
    out->len = (size_t)(to - out->data);
    return strchr(from, '\n') + 1;
}

/* A digit or letter for the bytes of each piece. */
static size_t cut(const chord_pretoken *p, uint32_t step, const char *text, size_t begin, size_t end, char *out)
{
    size_t count = 0;
    if (step == CHORD_PRETOKEN_STEPS_MAX || p->steps[step] == 0) {
        CHECK(end - begin < 36);
        out[0] = "0123456789abcdefghijklmnopqrstuvwxyz"[end - begin];
        return 1;
    }
    for (size_t at = begin; at < end;) {
        size_t stop = chord_pretoken_cut(p->steps[step], text, begin, at, end);
        CHECK(stop > at && stop <= end);
        count += cut(p, step + 1, text, at, stop, out + count);
        at = stop;
    }
    return count;
}

static void check_rule(const char *names, char *cuts)
{
    char first[64];
    snprintf(first, sizeof first, "%.*s", (int)strcspn(names, ","), names);
    const chord_pretoken *p = chord_pretoken_find(first);
    CHECK_SAY(p != NULL, "%s is unknown", first);
    for (size_t i = 0; p != NULL && i < text_count; i++) {
        char got[256] = {0}, *wanted = cuts;
        size_t len = strcspn(cuts, " ");
        cuts += len + (cuts[len] == ' ');
        CHECK(cut(p, 0, texts[i].data, 0, texts[i].len, got) < sizeof got);
        CHECK_SAY(strlen(got) == len && memcmp(got, wanted, len) == 0, "%s cuts text %zu into %s, not %.*s", first,
                  i + 1, got, (int)len, wanted);
    }
    CHECK(*cuts == 0);
}

/* Every name of a rule has it. */
static void check_names(char *names, uint32_t *count)
{
    const chord_pretoken *first = NULL;
    for (char *name = strtok(names, ","); name != NULL; name = strtok(NULL, ",")) {
        const chord_pretoken *p = chord_pretoken_find(name);
        CHECK_SAY(p != NULL, "%s is unknown", name);
        if (first == NULL) first = p;
        if (p != NULL) CHECK_SAY(memcmp(p->steps, first->steps, sizeof p->steps) == 0, "%s cuts in another way", name);
        ++*count;
    }
}

/* Digits by the million cost one pass, not one for each group. */
static void test_long_runs(void)
{
    static const char *const names[] = {"superbpe", "afmoe",     "tiny_aya", "deepseek-llm",
                                        "jais-2",   "poro-chat", "chameleon"};
    static const char kinds[] = {'1', ' ', 'a', '\n', '!', '<'};
    size_t len = 1 << 16;
    char *text = malloc(len);
    for (size_t k = 0; k < sizeof kinds; k++) {
        memset(text, kinds[k], len);
        text[len - 1] = 'b';
        for (size_t i = 0; i < CHORD_COUNT(names); i++) {
            const chord_pretoken *p = chord_pretoken_find(names[i]);
            size_t pieces = 0;
            for (size_t at = 0; at < len; pieces++) at = chord_pretoken_cut(p->steps[0], text, 0, at, len);
            CHECK(pieces > 0);
        }
    }
    const chord_pretoken *back = chord_pretoken_find("superbpe");
    memset(text, '7', len);
    size_t pieces = 0;
    for (size_t at = 0; at < len; pieces++) at = chord_pretoken_cut(back->steps[1], text, 0, at, len);
    CHECK(pieces == len / 3 + 1);
    free(text);
}

int main(void)
{
    char *golden = read_file("pieces.txt"), *line = golden;
    uint32_t rules = 0, names = 0;
    while (*line == '"' && text_count < TEXTS_MAX) line = unescape(line, &texts[text_count++]);
    while (*line != 0) {
        char *end = strchr(line, '\n'), *space = strchr(line, ' ');
        *end = *space = 0;
        check_rule(line, space + 1);
        check_names(line, &names);
        rules++;
        line = end + 1;
    }
    CHECK_SAY(text_count >= 60 && rules >= 28 && names >= 87, "%zu texts, %u rules, %u names", text_count, rules,
              names);
    test_long_runs();
    free(golden);
    return check_done();
}
