/* main.c - chord wasm: the commands of chord with a WebAssembly guest doing the work, and guests that are
 * programs of their own. */
#include "interrupt.h"
#include "options.h"
#include "proxy.h"
#include "stream.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PRELOADS_MAX 16
#define SECONDS_MAX 1e9
#define SENTENCE_MS 1000 /* for a reader of the last sentence */

static const cli_command *const COMMANDS[] = {&cli_run,  &cli_bench,    &cli_chat,
                                              &cli_plan, &cli_tokenize, &cli_perplexity};

static const char HELP[] =
    "chord wasm runs models inside WebAssembly: the same commands, and a guest in between.\n"
    "\n"
    "usage: chord wasm COMMAND GUEST.wasm MODEL [options]      with a guest of this library (chord-guest-wasm32.wasm)\n"
    "       chord wasm run PROGRAM.wasm [options] [-- WORDS]   with any other: a WASI command, or --invoke NAME\n"
    "\n"
    "commands: run, bench, chat, plan, tokenize, perplexity; their options are those of `chord help COMMAND`, and\n"
    "\n"
    "  what the host offers\n"
    "  --no-rows              the guest multiplies by itself; without this, by the host's kernels (the same results, sooner)\n"
    "  --no-banks             no memory beside the guest's own\n"
    "  --copy                 no mapped windows and no banks: everything is copied, as a portable host would\n"
    "  --extra-memories       what exceeds the guest's memory lies in further memories of 4 GiB, copied panel by panel\n"
    "  --cpu NAME             the guest's kernels: relaxed-simd, simd128 or ref (with --no-rows)\n"
    "  --guest-memory SIZE    most linear memory of the guest (default: what --memory leaves)\n"
    "\n"
    "  how it is watched over\n"
    "  --interruptible        the guest can be ended in mid-loop (Ctrl-C otherwise waits for the end of a tile)\n"
    "  --time-limit SECONDS   longest that compiling and starting a guest, or a call into it, may take, with all its\n"
    "                         waiting; implies --interruptible\n"
    "  --hardened             Spectre hardening for 64-bit memories\n"
    "  --gc                   modules with garbage collection or exceptions (half of the guest's memory is for these)\n"
    "  --cache FOLDER         where compiled modules are kept (default ~/.cache/wasm-chord)\n"
    "  --no-cache             compile each time\n"
    "\n"
    "  other guests\n"
    "  --model MODEL          the model that the guest's imports read\n"
    "  --invoke NAME          call this export (and print what it gives) instead of _start; WORDS are its numbers\n"
    "  --dir FOLDER           what a WASI command may read\n"
    "  --nn-preload N:GGML:AUTO:MODEL    a model that the guest finds by the name N through wasi-nn (several possible)\n"
    "  --memory64 auto|on|off the imports memory64_*: by size of the model, or not; --regions auto|single|multi;\n"
    "                         --cache-layers 4..16, --layer-prefetch 0..4, --preload\n"
    "\n"
    "examples:\n"
    "  chord wasm run chord-guest-wasm32.wasm model.gguf -p \"Why is the sky blue?\" --memory 1G\n"
    "  chord wasm bench chord-guest-wasm64.wasm model.gguf --no-rows\n"
    "  chord wasm run llama-chat.wasm --nn-preload default:GGML:AUTO:model.gguf\n";

/* What the command line says to the host; the rest goes to the command. */
typedef struct host_args {
    const char *guest, *model, *invoke;
    uint64_t memory_bytes;
    uint32_t threads;
    chord_nn_preload preloads[PRELOADS_MAX];
    char *rest[512];
    int rest_count;
    char **words; /* after "--" */
    int word_count;
} host_args;

static int usage(const char *format, const char *word)
{
    cli_fail(format, word);
    cli_note("`chord wasm help` lists what there is");
    return CLI_USAGE;
}

static bool flag(const char *arg)
{
    const struct {
        const char *name;
        bool *to;
    } FLAGS[] = {
        {"--no-rows", &proxy_guest_options.no_rows},
        {"--no-banks", &proxy_guest_options.no_banks},
        {"--copy", &proxy_guest_options.copy},
        {"--extra-memories", &proxy_guest_options.extra_memories},
        {"--interruptible", &proxy_host_options.interruptible},
        {"--hardened", &proxy_host_options.hardened64},
        {"--gc", &proxy_host_options.gc},
        {"--preload", &proxy_guest_options.memory64.preload},
    };
    for (size_t i = 0; i < CLI_COUNT(FLAGS); i++)
        if (strcmp(arg, FLAGS[i].name) == 0) {
            *FLAGS[i].to = true;
            return true;
        }
    if (strcmp(arg, "--no-cache") != 0) return false;
    proxy_host_options.cache_folder = "";
    return true;
}

static bool choice(const char *value, const char *const *names, int *out)
{
    for (*out = 0; *out < 3; (*out)++)
        if (strcmp(value, names[*out]) == 0) return true;
    return false;
}

static bool number(const char *value, uint64_t least, uint64_t most, uint64_t *out)
{
    char *end;
    unsigned long long n = strtoull(value, &end, 10);
    *out = n;
    return end != value && *end == '\0' && n >= least && n <= most;
}

/* Seconds as nanoseconds: what is no number, or none that a clock reaches, is not taken. */
static bool seconds(const char *value, uint64_t *ns)
{
    char *end;
    double n = strtod(value, &end);
    if (end == value || *end != '\0' || !(n >= 1e-9) || n > SECONDS_MAX) return false;
    *ns = (uint64_t)(n * 1e9);
    return true;
}

/* NAME:GGML:AUTO:PATH */
static bool preload(host_args *a, char *value)
{
    char *encoding = strchr(value, ':'), *target = encoding != NULL ? strchr(encoding + 1, ':') : NULL;
    char *path = target != NULL ? strchr(target + 1, ':') : NULL;
    if (path == NULL || path[1] == '\0' || encoding == value || proxy_guest_options.preload_count == PRELOADS_MAX)
        return false;
    *encoding = '\0';
    if (strncmp(encoding + 1, "GGML:", 5) != 0) return false;
    a->preloads[proxy_guest_options.preload_count++] = (chord_nn_preload){.name = value, .path = path + 1};
    proxy_guest_options.preloads = a->preloads;
    return true;
}

static bool valued(host_args *a, const char *arg, char *value, bool *known)
{
    static const char *const SWITCH[] = {"auto", "on", "off"}, *const LAYOUT[] = {"auto", "single", "multi"};
    chord_memory64_options *m = &proxy_guest_options.memory64;
    uint64_t n;
    int which;
    *known = true;
    if (strcmp(arg, "--cpu") == 0) return (proxy_cpu = value) != NULL;
    if (strcmp(arg, "--guest-memory") == 0) return cli_size(value, &proxy_guest_options.linear_bytes_max);
    if (strcmp(arg, "--cache") == 0) return (proxy_host_options.cache_folder = value) != NULL;
    if (strcmp(arg, "--invoke") == 0) return (a->invoke = value) != NULL;
    if (strcmp(arg, "--dir") == 0) return (proxy_guest_options.folder = value) != NULL;
    if (strcmp(arg, "--nn-preload") == 0) return preload(a, value);
    if (strcmp(arg, "--time-limit") == 0) {
        proxy_host_options.interruptible = true;
        if (!seconds(value, &proxy_guest_options.call_ns_max)) return false;
        proxy_guest_options.compile_ns_max = proxy_guest_options.call_ns_max;
        return true;
    }
    if (strcmp(arg, "--memory64") == 0)
        return choice(value, SWITCH, &which) && (m->enabled = (chord_switch)which, true);
    if (strcmp(arg, "--regions") == 0)
        return choice(value, LAYOUT, &which) && (m->layout = (chord_region_layout)which, true);
    if (strcmp(arg, "--cache-layers") == 0) return number(value, 4, 16, &n) && (m->cache_layers = (uint32_t)n, true);
    if (strcmp(arg, "--layer-prefetch") == 0) return number(value, 0, 4, &n) && (m->prefetch = (uint32_t)n, true);
    *known = false;
    return true;
}

/* The host's own options leave the line. */
static int sort_args(int argc, char **argv, host_args *a)
{
    for (int i = 0; i < argc; i++) {
        bool known = false;
        if (strcmp(argv[i], "--") == 0) {
            a->words = argv + i + 1;
            a->word_count = argc - i - 1;
            break;
        }
        if (flag(argv[i])) continue;
        if (argv[i][0] == '-' && i + 1 < argc) {
            if (!valued(a, argv[i], argv[i + 1], &known)) return usage("%s: that value does not go there", argv[i]);
            if (known) {
                i++;
                continue;
            }
        }
        if (a->guest == NULL && argv[i][0] != '-') {
            a->guest = argv[i];
            continue;
        }
        if (a->rest_count == (int)CLI_COUNT(a->rest)) return usage("%s", "too many words");
        a->rest[a->rest_count++] = argv[i];
    }
    return CLI_OK;
}

/* ---- guests that are programs of their own ---------------------------------------------------------------- */

static void print_log(void *ud, chord_log_level level, const char *line)
{
    (void)ud;
    if (level == CHORD_LOG_WARN) cli_note("%s", line);
}

static bool print_text(void *ud, const char *text, size_t len)
{
    (void)ud;
    fwrite(text, 1, len, stdout);
    return fflush(stdout) == 0;
}

static int read_rest(host_args *a)
{
    for (int i = 0; i < a->rest_count; i += 2) {
        const char *arg = a->rest[i], *value = i + 1 < a->rest_count ? a->rest[i + 1] : NULL;
        uint64_t n;
        if (value == NULL) return usage("%s: this guest takes no such word here (words for it stand after --)", arg);
        if ((strcmp(arg, "--model") == 0 || strcmp(arg, "-m") == 0)) a->model = value;
        else if (strcmp(arg, "--memory") == 0 && cli_size(value, &a->memory_bytes)) {
        } else if ((strcmp(arg, "--threads") == 0 || strcmp(arg, "-t") == 0) && number(value, 1, 256, &n))
            a->threads = (uint32_t)n;
        else return usage("%s: this guest takes no such option (words for it stand after --)", arg);
    }
    return CLI_OK;
}

static int call_program(chord_guest *guest, const host_args *a)
{
    chord_error err;
    uint64_t args[16] = {0}, result;
    if (a->invoke != NULL && a->word_count > (int)CLI_COUNT(args)) return usage("%s: at most 16 numbers", a->invoke);
    for (int i = 0; a->invoke != NULL && i < a->word_count; i++) args[i] = strtoull(a->words[i], NULL, 0);
    const char *name = a->invoke != NULL ? a->invoke : "_start";
    chord_status status = chord_guest_call(guest, name, args, a->invoke != NULL ? (size_t)a->word_count : 0, &result,
                                           &err);
    if (status != CHORD_OK) return cli_fail_with(&err);
    if (a->invoke == NULL) return (int)(result & 0xff);
    printf("%lld\n", (long long)result);
    return cli_finish_output();
}

static int run_program(chord_host *host, host_args *a)
{
    chord_error err;
    chord_guest *guest;
    const char *words[65] = {a->guest};
    int code = read_rest(a);
    if (code != CLI_OK) return code;
    if (a->word_count > 64) return usage("%s: at most 64 words", a->guest);
    for (int i = 0; i < a->word_count; i++) words[i + 1] = a->words[i];
    chord_guest_options *o = &proxy_guest_options;
    o->model = a->model;
    o->budget_bytes = a->memory_bytes;
    o->threads = a->threads;
    o->args = words;
    o->arg_count = (size_t)a->word_count + 1;
    o->on_log = print_log;
    o->on_emit = print_text;
    if (chord_guest_open(host, o, &guest, &err) != CHORD_OK) return cli_fail_with(&err);
    code = call_program(guest, a);
    chord_guest_close(guest);
    return code;
}

/* Is it ours? Then the command runs on it; else it is run. */
static int run_guest(const cli_command *command, host_args *a)
{
    chord_error err;
    chord_module_info info;
    cli_args args;
    bool wants_help;
    if (chord_host_inspect(proxy_host, a->guest, &info, &err) != CHORD_OK) return cli_fail_with(&err);
    if (info.is_chord_guest && a->invoke == NULL) {
        int code = cli_parse(command, a->rest_count, a->rest, &args, &wants_help);
        return code == CLI_OK ? command->run(&args) : code;
    }
    if (command == &cli_run && (info.is_command || a->invoke != NULL)) return run_program(proxy_host, a);
    return cli_fail(
        "%s is neither a guest of this library nor a WASI command; `run` with --invoke NAME calls one of its exports",
        a->guest);
}

/* ---- statistics of ours ------------------------------------------------------------------------------------- */

static void print_guest(const chord_guest *guest)
{
    chord_guest_stats s;
    chord_guest_stats_get(guest, &s);
    char linear[32], banks[32], compiled[48] = "module from the cache";
    if (s.compile_ns != 0) snprintf(compiled, sizeof compiled, "compiled in %.2f s", (double)s.compile_ns / 1e9);
    fprintf(stderr,
            "guest: linear memory %s, banks %s, first import after %.1f ms (%s), %" PRIu64
            " calls for the host's rows\n",
            cli_size_text(s.linear_bytes, linear), cli_size_text(s.bank_bytes, banks), (double)s.start_ns / 1e6,
            compiled, s.rows_calls);
}

/* ---- commands ------------------------------------------------------------------------------------------------ */

static const cli_command *find(const char *name)
{
    for (size_t i = 0; i < CLI_COUNT(COMMANDS); i++)
        if (strcmp(COMMANDS[i]->name, name) == 0) return COMMANDS[i];
    return NULL;
}

/* A guest that waits in the system cannot be ended but with its process. */
static void end_overdue(void *ud, const char *sentence)
{
    struct pollfd reader = {.fd = STDERR_FILENO, .events = POLLOUT};
    (void)ud;
    if (poll(&reader, 1, SENTENCE_MS) > 0) cli_fail("%s", sentence);
    _exit(CLI_FAILED);
}

static int run_command(const cli_command *command, host_args *a)
{
    chord_error err;
    for (int i = 0; i < a->rest_count; i++)
        if (strcmp(a->rest[i], "--help") == 0 || strcmp(a->rest[i], "-h") == 0) {
            cli_print_help(command, stdout);
            return cli_finish_output();
        }
    if (a->guest == NULL) return usage("%s", "which guest? give the path of a .wasm file, and then the model's");
    proxy_guest_options.module = a->guest;
    proxy_on_close = print_guest;
    proxy_guest_options.on_overdue = end_overdue;
    if (chord_host_open(&proxy_host_options, &proxy_host, &err) != CHORD_OK) return cli_fail_with(&err);
    int code = run_guest(command, a);
    chord_host_close(proxy_host);
    return code;
}

int main(int argc, char **argv)
{
    static host_args a;
    const char *name = argc > 1 ? argv[1] : "help";
    cli_streams_start();
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        fputs(HELP, argc > 1 ? stdout : stderr);
        return argc > 1 ? cli_finish_output() : CLI_USAGE;
    }
    const cli_command *command = find(name);
    if (command == NULL) return usage("there is no command 'wasm %s'", name);
    int code = sort_args(argc - 2, argv + 2, &a);
    if (code != CLI_OK) return code;
    cli_interrupt_start();
    chord_error err;
    if (chord_guard_install(&err) != CHORD_OK) cli_note("%s", err.text);
    return run_command(command, &a);
}
