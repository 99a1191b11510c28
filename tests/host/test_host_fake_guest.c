/* Guests that export all of a guest's names and answer nonsense: every command over them ends with a code and, where
 * it failed, a sentence. */
#define _GNU_SOURCE
#include "host_fixture.h"

#include <sys/wait.h>

/* What a guest does: its alloc, its answers, what its memory is filled with. */
typedef struct nonsense {
    const char *name, *alloc, *answer;
    unsigned fill;
} nonsense;

#define BUMP \
    "(global.set $next (i32.add (global.get $next) (i32.const 4096))) (i32.sub (global.get $next) (i32.const 4096))"
static const nonsense KINDS[] = {
    {"gives nothing", "(i32.const 0)", "(i32.const 0)", 0},
    {"gives the end of its memory", "(i32.const 16777215)", "(i32.const 0)", 0},
    {"gives what lies beyond", "(i32.const -8)", "(i32.const 0)", 0},
    {"all ones", BUMP, "(i32.const 0)", 0xff},
    {"all zeros", BUMP, "(i32.const 0)", 0},
    {"letters", BUMP, "(i32.const 0)", 'A'},
    {"a byte of three", BUMP, "(i32.const 0)", 3},
    {"fails with letters", BUMP, "(i32.const 2)", 0x1b},
    {"fails with a code that is none", BUMP, "(i32.const -1)", 0xff},
    {"fails with a large code", BUMP, "(i32.const 99)", 'B'},
    {"traps", BUMP, "unreachable", 0},
    {"traps in alloc", "unreachable", "(i32.const 0)", 0},
};

/* What a C type is to the module: p as wide as addresses, i, - nothing. */
static char letter_of(const char *type)
{
    bool pointer = strchr(type, '*') != NULL || strstr(type, "size_t") != NULL || strstr(type, "uintptr_t") != NULL;
    return pointer ? 'p' : strncmp(type, "void", 4) == 0 ? '-' : 'i';
}

static const char *letters_of(const char *parameters, char out[16])
{
    char copy[256], *rest = copy;
    size_t n = 0;
    snprintf(copy, sizeof copy, "%s", parameters);
    for (char *one; (one = strsep(&rest, ",")) != NULL;)
        if (letter_of(one) != '-') out[n++] = letter_of(one);
    out[n] = '\0';
    return out;
}

static const char *put_fake(const nonsense *k, int version)
{
    text t = {0};
    say(&t,
        "(module (memory (export \"memory\") 256 256) (global $next (mut i32) (i32.const 65536))"
        "(func $start (memory.fill (i32.const 0) (i32.const %u) (i32.const 16777216))) (start $start)",
        k->fill);
    static const struct {
        const char *result, *name, *parameters;
    } ALL[] = {
#define EXPORT(result, name, ...) {#result, #name, #__VA_ARGS__},
        CHORD_GUEST_EXPORT_MAP(EXPORT)
#undef EXPORT
    };
    for (size_t i = 0; i < CHORD_COUNT(ALL); i++) {
        char letters[16], gives = letter_of(ALL[i].result);
        const host_import as = {ALL[i].name, letters_of(ALL[i].parameters, letters), gives, NULL};
        say(&t, "(func (export \"%s\") ", ALL[i].name);
        say_type(&t, &as, false);
        if (strcmp(ALL[i].name, "guest_version") == 0) say(&t, "(i32.const %d))", version);
        else if (strcmp(ALL[i].name, "guest_alloc") == 0) say(&t, "%s)", k->alloc);
        else say(&t, "%s)", gives != '-' ? k->answer : "");
    }
    say(&t, ")");
    const char *path = put_wat("fake.wasm", t.bytes);
    free(t.bytes);
    return path;
}

static const char *model;

/* The exit code; its sentence in err.text's place. */
static int run(const char *command, const char *guest, const char *options, char *said, size_t cap)
{
    char line[8192];
    FILE *f;
    snprintf(line, sizeof line,
             "timeout 2000 '%s' %s '%s' '%s' %s --no-cache --time-limit 2 --memory 300M </dev/null >'%s' 2>'%s'",
             CHORD_WASM_PROGRAM, command, guest, model, options, in_folder("out"), in_folder("err"));
    int status = system(line);
    said[0] = '\0';
    if ((f = fopen(in_folder("err"), "r")) != NULL) {
        said[fread(said, 1, cap - 1, f)] = '\0';
        fclose(f);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}

static bool is_plain(const char *said)
{
    for (const unsigned char *c = (const unsigned char *)said; *c != '\0'; c++)
        if ((*c < ' ' && *c != '\n' && *c != '\r') || *c == 127) return false;
    return true;
}

int main(void)
{
    static const struct {
        const char *command, *options;
    } RUNS[] = {
        {"run", "-p hello -n 4"}, {"bench", ""},      {"chat", ""}, {"plan", ""}, {"plan", "--json"},
        {"tokenize", "-p hello"}, {"perplexity", ""},
    };
    char said[16384], options[4096];
    folder_open();
    model = kept(put_model("model.gguf"));
    put_file(in_folder("words.txt"), "the quick brown fox jumps over the lazy dog ", 44);
    if (access(CHORD_WASM_PROGRAM, X_OK) != 0) {
        printf("no %s\n", CHORD_WASM_PROGRAM);
        return 77;
    }
    for (size_t i = 0; i < CHORD_COUNT(KINDS); i++) {
        const char *guest = kept(put_fake(&KINDS[i], CHORD_HOST_VERSION));
        for (size_t k = 0; k < CHORD_COUNT(RUNS); k++) {
            snprintf(options, sizeof options, "%s %s", RUNS[k].options,
                     strcmp(RUNS[k].command, "perplexity") == 0 ? in_folder("words.txt") : "");
            int code = run(RUNS[k].command, guest, options, said, sizeof said);
            CHECK_SAY(code < 124, "%s, a guest that %s: exit %d: %.300s", RUNS[k].command, KINDS[i].name, code, said);
            CHECK_SAY(code == 0 || said[0] != '\0', "%s, a guest that %s: exit %d without a word", RUNS[k].command,
                      KINDS[i].name, code);
            CHECK_SAY(is_plain(said), "%s, a guest that %s: %.300s", RUNS[k].command, KINDS[i].name, said);
        }
    }
    CHECK(run("run", put_fake(&KINDS[3], CHORD_HOST_VERSION + 1), "-p hello", said, sizeof said) != 0 &&
          strstr(said, "version") != NULL);
    folder_close();
    return check_done();
}
