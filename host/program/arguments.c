/* arguments.c - the command line of chord wasm, sorted.
 *
 * The host's options and the command's stand before the guest or behind it. Behind a guest of ours all words are the
 * command's. Behind another the options go on until a word that is none of them, or --: from there on all is the
 * guest's own, so that lines written for WasmEdge and Wasmtime (options, guest, its words) mean the same here. */
#define _GNU_SOURCE
#include "arguments.h"

#include "proxy/proxy.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define HELP_COLUMN 26
#define EXPORTS_BYTES_MAX (1u << 20)

host_arguments arguments;

int arguments_usage(const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    cli_fail("%s", line);
    cli_note("`chord wasm help` lists what there is");
    return CLI_USAGE;
}

/* ---- values: NULL, or why this one is refused ------------------------------------------------------------------ */

static const char *choose(const char *value, const char *const *names, unsigned *out)
{
    for (unsigned i = 0; i < 3; i++)
        if (strcmp(value, names[i]) == 0) {
            *out = i;
            return NULL;
        }
    return "there is no such choice";
}

static bool number(const char *value, uint64_t least, uint64_t most, uint32_t *out)
{
    char *end;
    unsigned long long n = strtoull(value, &end, 10);
    *out = (uint32_t)n;
    return *value >= '0' && *value <= '9' && *end == '\0' && n >= least && n <= most;
}

static const char *take_time_limit(char *value)
{
    char *end;
    double seconds = strtod(value, &end);
    if (end == value || *end != '\0' || !(seconds >= 1e-9 && seconds <= 1e9)) return "that is no number of seconds";
    proxy_guest_options.call_ns_max = proxy_guest_options.compile_ns_max = (uint64_t)(seconds * 1e9);
    proxy_host_options.interruptible = true;
    return NULL;
}

static const char *take_memory64(char *value)
{
    static const char *const NAMES[] = {"auto", "on", "off"};
    unsigned which = 0;
    const char *wrong = choose(value, NAMES, &which);
    proxy_guest_options.memory64.enabled = (chord_switch)which;
    return wrong;
}

static const char *take_regions(char *value)
{
    static const char *const NAMES[] = {"auto", "single", "multi"};
    unsigned which = 0;
    const char *wrong = choose(value, NAMES, &which);
    proxy_guest_options.memory64.layout = (chord_region_layout)which;
    return wrong;
}

static const char *take_cache_layers(char *value)
{
    return number(value, 4, 16, &proxy_guest_options.memory64.cache_layers) ? NULL : "from 4 to 16 are possible";
}

static const char *take_layer_prefetch(char *value)
{
    return number(value, 0, 4, &proxy_guest_options.memory64.prefetch) ? NULL : "from 0 to 4 are possible";
}

/* FOLDER::NAME is Wasmtime's spelling, NAME:FOLDER and NAME:FOLDER:readonly are WasmEdge's. */
static const char *take_folder(char *value)
{
    static const char READONLY[] = ":readonly";
    size_t len = strlen(value), suffix = sizeof READONLY - 1;
    chord_guest_folder folder = {value, value};
    if (proxy_guest_options.folder_count == FOLDERS_MAX) return "16 folders are given already";
    char *colons = strstr(value, "::");
    for (char *next = colons; next != NULL; next = strstr(next + 1, "::")) colons = next;
    if (colons != NULL) {
        folder = (chord_guest_folder){value, colons + 2};
    } else if ((colons = strchr(value, ':')) != NULL) {
        folder = (chord_guest_folder){colons + 1, value};
        if (len > suffix && strcmp(value + len - suffix, READONLY) == 0 && value + len - suffix > colons)
            value[len - suffix] = '\0';
    }
    if (colons == value || *folder.host == '\0' || *folder.guest == '\0')
        return "a folder is given as FOLDER, FOLDER::NAME or NAME:FOLDER";
    if (colons != NULL) *colons = '\0';
    arguments.folders[proxy_guest_options.folder_count++] = folder;
    proxy_guest_options.folders = arguments.folders;
    return NULL;
}

/* A folder without a name is seen under its own, and the first one as the working folder too. */
static void add_working_folder(void)
{
    size_t count = proxy_guest_options.folder_count;
    const char *plain = NULL;
    for (size_t i = count; i-- > 0;) {
        if (strcmp(arguments.folders[i].guest, ".") == 0) return;
        if (arguments.folders[i].guest == arguments.folders[i].host) plain = arguments.folders[i].host;
    }
    if (plain != NULL) arguments.folders[proxy_guest_options.folder_count++] = (chord_guest_folder){plain, "."};
}

/* NAME=VALUE, or NAME: as it stands in our own environment. The last one of a name counts. */
static const char *take_environment(char *value)
{
    size_t name = strcspn(value, "="), i = 0;
    const char *entry = value[name] == '=' ? value : NULL;
    if (name == 0) return "a variable is given as NAME=VALUE, or NAME for the value it has here";
    for (char **at = environ; entry == NULL && *at != NULL; at++)
        if (strncmp(*at, value, name) == 0 && (*at)[name] == '=') entry = *at;
    if (entry == NULL) return "it has no value here; NAME=VALUE gives one";
    while (i < proxy_guest_options.env_count && strncmp(arguments.environment[i], entry, name + 1) != 0) i++;
    if (i == ENVIRONMENT_MAX) return "256 variables are given already";
    arguments.environment[i] = entry;
    if (i == proxy_guest_options.env_count) proxy_guest_options.env_count++;
    proxy_guest_options.env = arguments.environment;
    return NULL;
}

static bool is_one_of(const char *text, size_t len, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(names[i]) == len && strncasecmp(text, names[i], len) == 0) return true;
    return false;
}

/* NAME:ENCODING:TARGET:PATH, in small letters or large ones; a path may hold colons. */
static const char *take_preload(char *value)
{
    static const char *const ENCODINGS[] = {"ggml", "autodetect"}, *const TARGETS[] = {"cpu", "auto", "gpu", "tpu"};
    char *encoding = strchr(value, ':'), *target = encoding != NULL ? strchr(encoding + 1, ':') : NULL;
    char *path = target != NULL ? strchr(target + 1, ':') : NULL;
    size_t count = proxy_guest_options.preload_count;
    if (count == PRELOADS_MAX) return "16 models are given already";
    if (path == NULL || path[1] == '\0' || encoding == value) return "a model is given as NAME:GGML:AUTO:PATH";
    if (!is_one_of(encoding + 1, (size_t)(target - encoding - 1), ENCODINGS, CLI_COUNT(ENCODINGS)))
        return "only models of the encoding GGML are computed here";
    size_t target_len = (size_t)(path - target - 1);
    if (!is_one_of(target + 1, target_len, TARGETS, CLI_COUNT(TARGETS)))
        return "the target of a model is AUTO, CPU, GPU or TPU";
    size_t name = (size_t)(encoding - value);
    for (size_t i = 0; i < count; i++)
        if (strlen(arguments.preloads[i].name) == name && strncmp(arguments.preloads[i].name, value, name) == 0)
            return "another model has this name already";
    if (!is_one_of(target + 1, target_len, TARGETS, 2))
        cli_note("--nn-preload %s: this host computes on the CPU", value);
    *encoding = '\0';
    arguments.preloads[proxy_guest_options.preload_count++] = (chord_nn_preload){.name = value, .path = path + 1};
    proxy_guest_options.preloads = arguments.preloads;
    return NULL;
}

/* ---- the host's options, and help out of the same table --------------------------------------------------------- */

typedef struct host_option {
    const char *name;  /* NULL: a heading */
    const char *value; /* NULL: a flag */
    const char *help;
    bool *flag;
    const char **text;
    uint64_t *size;
    const char *(*take)(char *value);
} host_option;

static bool no_cache;
static const host_option OPTIONS[] = {
    {.help = "what the host offers"},
    {"--no-rows", NULL,
     "the guest multiplies by itself; without this, by the host's kernels (the same results, sooner)",
     .flag = &proxy_guest_options.no_rows},
    {"--no-banks", NULL, "no memory beside the guest's own", .flag = &proxy_guest_options.no_banks},
    {"--copy", NULL, "no mapped windows and no banks: everything is copied, as a portable host would",
     .flag = &proxy_guest_options.copy},
    {"--extra-memories", NULL,
     "what exceeds the guest's memory lies in further memories of 4 GiB, copied panel by panel",
     .flag = &proxy_guest_options.extra_memories},
    {"--cpu", "NAME", "the guest's kernels: relaxed-simd, simd128 or ref (with --no-rows)", .text = &proxy_cpu},
    {"--guest-memory", "SIZE", "most linear memory of the guest (default: what --memory leaves)",
     .size = &proxy_guest_options.linear_bytes_max},

    {.help = "how it is watched over"},
    {"--interruptible", NULL, "the guest can be ended in mid-loop (Ctrl-C otherwise waits for the end of a tile)",
     .flag = &proxy_host_options.interruptible},
    {"--time-limit", "SECONDS",
     "longest that compiling and starting a guest, or a call into it, may take, with all its waiting; implies --interruptible",
     .take = take_time_limit},
    {"--hardened", NULL, "Spectre hardening for 64-bit memories", .flag = &proxy_host_options.hardened64},
    {"--gc", NULL, "modules with garbage collection or exceptions (half of the guest's memory is for these)",
     .flag = &proxy_host_options.gc},
    {"--cache", "FOLDER", "where compiled modules are kept (default ~/.cache/wasm-chord); nobody else may write there",
     .text = &proxy_host_options.cache_folder},
    {"--no-cache", NULL, "compile each time", .flag = &no_cache},

    {.help = "other guests"},
    {"--model", "MODEL", "the model that the guest's imports read", .flag = NULL}, /* the command's own */
    {"--invoke", "NAME", "call this export (and print what it gives) instead of _start; WORDS are its numbers",
     .text = &arguments.invoke},
    {"--reactor", NULL, "the first of WORDS is the export to call", .flag = &arguments.reactor},
    {"--dir", "FOLDER",
     "what a WASI command may read, as FOLDER and as \".\"; FOLDER::NAME and NAME:FOLDER give it a name",
     .take = take_folder},
    {"--env", "NAME=VALUE", "a variable of the guest's environment; NAME alone takes the value it has here",
     .take = take_environment},
    {"--nn-preload", "NAME:GGML:AUTO:MODEL", "a model that the guest finds by NAME through wasi-nn",
     .take = take_preload},
    {"--memory64", "auto|on|off", "the imports memory64_*: by size of the model, or not", .take = take_memory64},
    {"--regions", "auto|single|multi", "how memory64 lays the model out", .take = take_regions},
    {"--cache-layers", "4..16", "layers that memory64 keeps", .take = take_cache_layers},
    {"--layer-prefetch", "0..4", "layers that memory64 reads ahead", .take = take_layer_prefetch},
    {"--preload", NULL, "memory64 fills its cache when the guest opens", .flag = &proxy_guest_options.memory64.preload},
};

static const char HELP_HEAD[] =
    "chord wasm runs models inside WebAssembly: the same commands, and a guest in between.\n"
    "\n"
    "usage: chord wasm COMMAND GUEST.wasm MODEL [options]      with a guest of this library (chord-guest-wasm32.wasm)\n"
    "       chord wasm run [options] PROGRAM.wasm [WORDS]      with any other: a WASI command, or --invoke NAME\n"
    "\n"
    "Options may stand behind the guest too. Behind PROGRAM.wasm they end at the first word that is none, or at --;\n"
    "what follows is the program's. --dir, --env and --nn-preload can be given several times.\n"
    "\n"
    "commands: run, bench, chat, plan, tokenize, perplexity; their options are those of `chord help COMMAND`, and\n";

static const char HELP_END[] =
    "\n"
    "examples:\n"
    "  chord wasm run chord-guest-wasm32.wasm model.gguf -p \"Why is the sky blue?\" --memory 1G\n"
    "  chord wasm bench chord-guest-wasm64.wasm model.gguf --no-rows\n"
    "  chord wasm run --nn-preload default:GGML:AUTO:model.gguf --env n_predict=40 llama-chat.wasm -p chatml\n";

void arguments_print_help(FILE *out)
{
    fputs(HELP_HEAD, out);
    for (size_t i = 0; i < CLI_COUNT(OPTIONS); i++) {
        const host_option *o = &OPTIONS[i];
        char left[64];
        snprintf(left, sizeof left, "  %s%s%s", o->name != NULL ? o->name : "", o->value != NULL ? " " : "",
                 o->value != NULL ? o->value : "");
        if (o->name == NULL) fprintf(out, "\n  %s\n", o->help);
        else if (strlen(left) + 2 > HELP_COLUMN) fprintf(out, "%s\n%*s%s\n", left, HELP_COLUMN, "", o->help);
        else fprintf(out, "%-*s%s\n", HELP_COLUMN, left, o->help);
    }
    fputs(HELP_END, out);
}

static const host_option *find_option(const char *word, size_t len)
{
    for (size_t i = 0; i < CLI_COUNT(OPTIONS); i++) {
        const host_option *o = &OPTIONS[i];
        bool ours = o->name != NULL && (o->value == NULL || o->text != NULL || o->size != NULL || o->take != NULL);
        if (ours && strlen(o->name) == len && strncmp(o->name, word, len) == 0) return o;
    }
    return NULL;
}

static const char *take_value(const host_option *o, char *value)
{
    if (o->text != NULL) *o->text = value;
    else if (o->size != NULL) return cli_size(value, o->size) ? NULL : "that is no size, such as 512M";
    else return o->take(value);
    return NULL;
}

/* How many words at the line's place are an option of the host's: 0 when none is, -1 after saying what is wrong. */
static int take_own(char **at, int left)
{
    size_t len = strcspn(at[0], "=");
    const host_option *o = find_option(at[0], len);
    if (o == NULL) return 0;
    char *value = at[0][len] == '=' ? at[0] + len + 1 : NULL;
    if (o->flag != NULL) {
        if (value != NULL) return (void)arguments_usage("%s takes no value", o->name), -1;
        *o->flag = true;
        return 1;
    }
    int used = value != NULL ? 1 : 2;
    if (value == NULL && left < 2) return (void)arguments_usage("%s needs a value (%s)", o->name, o->value), -1;
    if (value == NULL) value = at[1];
    const char *wrong = take_value(o, value);
    return wrong == NULL ? used : ((void)arguments_usage("%s %s: %s", o->name, value, wrong), -1);
}

/* ---- whose guest it is --------------------------------------------------------------------------------------------- */

static uint64_t read_number(FILE *f)
{
    uint64_t value = 0;
    int byte = 0x80;
    for (unsigned shift = 0; shift < 35 && (byte & 0x80) != 0 && (byte = getc(f)) != EOF; shift += 7)
        value |= (uint64_t)(byte & 0x7f) << shift;
    return byte == EOF ? UINT64_MAX : value;
}

static bool has_export(FILE *f, const char *name)
{
    uint64_t count = read_number(f);
    for (uint64_t i = 0; count <= EXPORTS_BYTES_MAX && i < count && !feof(f); i++) {
        char text[64];
        uint64_t len = read_number(f);
        size_t kept = len < sizeof text ? (size_t)len : 0;
        if (len > EXPORTS_BYTES_MAX || fread(text, 1, kept, f) != kept) return false;
        if (kept == strlen(name) && memcmp(text, name, kept) == 0) return true;
        if (fseek(f, (long)(len - kept) + 1, SEEK_CUR) != 0) return false;
        (void)read_number(f);
    }
    return false;
}

/* Asked before the module is compiled: how its line is read, and with that how it is compiled, hangs on it. */
static bool is_ours(const char *path)
{
    FILE *f = fopen(path, "rb");
    bool ours = false;
    if (f == NULL || fseek(f, 8, SEEK_SET) != 0) {
        if (f != NULL) fclose(f);
        return false;
    }
    for (int section; (section = getc(f)) != EOF;) {
        uint64_t bytes = read_number(f);
        if (section == 7) ours = has_export(f, "guest_version");
        if (section == 7 || bytes > INT32_MAX || fseek(f, (long)bytes, SEEK_CUR) != 0) break;
    }
    fclose(f);
    return ours;
}

/* ---- the line -------------------------------------------------------------------------------------------------------- */

static void keep_rest(char **words, int count)
{
    for (int i = 0; i < count; i++) arguments.rest[arguments.rest_count++] = words[i];
}

/* Options up to the guest. The place behind it; -1 after saying what is wrong. */
static int read_head(const cli_command *command, int argc, char **argv)
{
    int i = 0;
    while (i < argc && arguments.guest == NULL) {
        int used = take_own(argv + i, argc - i);
        if (used < 0) return -1;
        if (used == 0 && (argv[i][0] != '-' || argv[i][1] == '\0')) {
            arguments.guest = argv[i++];
            continue;
        }
        if (used == 0) {
            used = cli_option_words(command, argv[i]) == 2 && i + 1 < argc ? 2 : 1;
            keep_rest(argv + i, used);
        }
        i += used;
    }
    return i;
}

/* What the command and another's guest have in common, in words; 0: not that. */
static int shared_words(const char *word, bool letters)
{
    static const char *const NAMES[] = {"--model", "--memory", "--threads", "-m", "-t"};
    for (size_t i = 0; i < (letters ? CLI_COUNT(NAMES) : 3); i++) {
        size_t len = strlen(NAMES[i]);
        if (strncmp(word, NAMES[i], len) == 0 && (word[len] == '\0' || word[len] == '='))
            return word[len] == '=' ? 1 : 2;
    }
    return 0;
}

/* Behind the guest. Single letters are the guest's own unless a -- says where its words begin. */
static int read_tail(const cli_command *command, int argc, char **argv, bool ours)
{
    bool dashes = false;
    for (int i = 0; i < argc; i++) dashes = dashes || strcmp(argv[i], "--") == 0;
    for (int i = 0, used; i < argc; i += used) {
        bool over = strcmp(argv[i], "--") == 0;
        used = over ? 0 : take_own(argv + i, argc - i);
        if (used < 0) return CLI_USAGE;
        if (used > 0) continue;
        used = ours ? cli_option_words(command, argv[i]) : shared_words(argv[i], dashes);
        if (over || (!ours && used == 0)) {
            arguments.words = argv + i + over;
            arguments.word_count = argc - i - over;
            return CLI_OK;
        }
        if (used == 0 || i + used > argc) used = 1;
        keep_rest(argv + i, used);
    }
    return CLI_OK;
}

int arguments_read(const cli_command *command, int argc, char **argv)
{
    arguments.rest = cli_alloc(NULL, ((size_t)argc + 1) * sizeof *arguments.rest);
    int behind = read_head(command, argc, argv);
    if (behind < 0) return CLI_USAGE;
    bool ours = arguments.guest == NULL || is_ours(arguments.guest);
    int code = read_tail(command, argc - behind, argv + behind, ours);
    if (code != CLI_OK) return code;
    if (ours && arguments.invoke == NULL && arguments.words != NULL) /* the command knows -- itself */
        keep_rest(arguments.words - 1, arguments.word_count + 1);
    if (arguments.reactor) {
        if (arguments.word_count == 0) return arguments_usage("--reactor: which export? it is the guest's first word");
        arguments.invoke = *arguments.words++;
        arguments.word_count--;
    }
    if (no_cache) proxy_host_options.cache_folder = "";
    add_working_folder();
    return CLI_OK;
}

int arguments_read_program(void)
{
    for (int i = 0; i < arguments.rest_count; i++) {
        char *word = arguments.rest[i], *equals = strchr(word, '=');
        if (word[0] != '-' || shared_words(word, true) == 0)
            return arguments_usage("%s: this guest takes no such %s here (words for it stand after --)", word,
                                   word[0] == '-' ? "option" : "word");
        if (equals == NULL && i + 1 == arguments.rest_count) return arguments_usage("%s needs a value", word);
        const char *value = equals != NULL ? equals + 1 : arguments.rest[++i];
        if (strncmp(word, "--me", 4) == 0) {
            if (!cli_size(value, &arguments.memory_bytes))
                return arguments_usage("--memory %s: that is no size, such as 512M", value);
        } else if (strncmp(word, "--t", 3) == 0 || strncmp(word, "-t", 2) == 0) {
            if (!number(value, 1, 256, &arguments.threads))
                return arguments_usage("--threads %s: from 1 to 256 are possible", value);
        } else {
            arguments.model = value;
        }
    }
    return CLI_OK;
}
