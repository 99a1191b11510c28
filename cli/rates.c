/* rates.c - a flat JSON object of numbers. Keys: "disk@DEVICE", "network@HOST", "memory@THREADS", "weights@THREADS",
 * "weights@THREADS@FILE", "guesses@FILE" and "experts@FILE". */
#include "rates.h"

#ifndef CLI_RATES_FILE
#define CLI_RATES_FILE "rates.json" /* `chord wasm` has one of its own: a guest is not as fast as this machine */
#endif

#include "host.h"
#include "json_out.h"
#include "live.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRIES_MAX 64
#define KEY_BYTES 200
#define RATES_BYTES_MAX 65536

typedef struct entry {
    char key[KEY_BYTES];
    double value;
} entry;

typedef struct entries {
    entry list[ENTRIES_MAX]; /* oldest first */
    size_t count;
} entries;

/* ---- where ------------------------------------------------------------------------------------------- */

static void make_folders(char *path)
{
    for (char *p = path + 1; *p != '\0'; p++) {
        if (*p != '/') continue;
        *p = '\0';
        mkdir(path, 0700);
        *p = '/';
    }
}

bool cli_state_path(const char *variable, const char *fallback, const char *name, char *out, size_t cap)
{
    const char *base = getenv(variable), *home = getenv("HOME");
    int n;
    if (!cli_host_has_home) return false;
    if (base != NULL && base[0] == '/') n = snprintf(out, cap, "%s/wasm-chord/%s", base, name);
    else if (home != NULL && home[0] == '/') n = snprintf(out, cap, "%s/%s/wasm-chord/%s", home, fallback, name);
    else return false;
    if (n < 0 || (size_t)n >= cap) return false;
    make_folders(out);
    return true;
}

/* ---- reading and writing -------------------------------------------------------------------------------- */

static entry *find(entries *all, const char *key)
{
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->list[i].key, key) == 0) return &all->list[i];
    return NULL;
}

static void put(entries *all, const char *key, double value)
{
    entry *e = find(all, key);
    if (!(value > 0) || strlen(key) >= KEY_BYTES) return;
    if (e == NULL) {
        if (all->count == ENTRIES_MAX) memmove(all->list, all->list + 1, --all->count * sizeof *all->list);
        e = &all->list[all->count++];
        snprintf(e->key, KEY_BYTES, "%s", key);
    }
    e->value = value;
}

/* Our own file: "key":number pairs; what does not look like that is passed over. */
static void parse(const char *text, entries *all)
{
    while ((text = strchr(text, '"')) != NULL) {
        char key[KEY_BYTES];
        const char *end = strchr(++text, '"');
        if (end == NULL) return;
        if (end[1] == ':' && (size_t)(end - text) < KEY_BYTES) {
            snprintf(key, sizeof key, "%.*s", (int)(end - text), text);
            put(all, key, strtod(end + 2, NULL));
        }
        text = end + 1;
    }
}

static bool load(entries *all, char *path, size_t cap)
{
    static char text[RATES_BYTES_MAX];
    all->count = 0;
    if (!cli_state_path("XDG_CACHE_HOME", ".cache", CLI_RATES_FILE, path, cap)) return false;
    FILE *file = fopen(path, "rb");
    if (file == NULL) return true;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    parse(text, all);
    return true;
}

/* Beside it first, then in its place: two programs at once never leave half a file. */
static void save(const entries *all, const char *path)
{
    char unfinished[PATH_MAX + 32];
    json_out j = {0};
    snprintf(unfinished, sizeof unfinished, "%s.%" PRIx64, path, cli_clock_ns());
    FILE *file = fopen(unfinished, "wb");
    if (file == NULL) return;
    json_open(&j, NULL, '{');
    for (size_t i = 0; i < all->count; i++) json_f64(&j, all->list[i].key, all->list[i].value);
    json_close(&j, '}');
    errno = 0;
    bool whole = fwrite(j.data, 1, j.len, file) == j.len && fflush(file) == 0;
    int failed = errno;
    whole = fclose(file) == 0 && whole;
    if (!whole)
        cli_note("%s: %s: what this machine was seen to do is not kept", path, strerror(failed != 0 ? failed : errno));
    if (!whole || rename(unfinished, path) != 0) unlink(unfinished);
    json_free(&j);
}

/* ---- keys ---------------------------------------------------------------------------------------------------- */

typedef struct keys {
    char disk[KEY_BYTES], memory[KEY_BYTES], weights[KEY_BYTES], weights_of_model[KEY_BYTES], guesses[KEY_BYTES],
        experts[KEY_BYTES];
} keys;

/* As much of the file's name as there is room for. */
static void add_name(char *key, const char *name)
{
    size_t used = strlen(key);
    for (; *name != '\0' && used + 1 < KEY_BYTES; name++)
        if (*name != '"' && *name != '\\' && (unsigned char)*name >= 0x20) key[used++] = *name;
    key[used] = '\0';
}

static void make_keys(const char *model, uint32_t threads, keys *k)
{
    struct stat at;
    const char *slash = strrchr(model, '/'), *name = slash != NULL ? slash + 1 : model;
    unsigned long device = stat(model, &at) == 0 ? (unsigned long)at.st_dev : 0;
    snprintf(k->disk, KEY_BYTES, "disk@%lu", device);
    snprintf(k->memory, KEY_BYTES, "memory@%u", threads);
    snprintf(k->weights, KEY_BYTES, "weights@%u", threads);
    snprintf(k->weights_of_model, KEY_BYTES, "weights@%u@", threads);
    snprintf(k->guesses, KEY_BYTES, "guesses@");
    snprintf(k->experts, KEY_BYTES, "experts@");
    add_name(k->weights_of_model, name);
    add_name(k->guesses, name);
    add_name(k->experts, name);
}

static double value_of(entries *all, const char *key)
{
    const entry *e = find(all, key);
    return e != NULL ? e->value : 0;
}

void cli_rates_load(const char *model, uint32_t threads, cli_rates *out)
{
    static entries all;
    char path[PATH_MAX];
    keys k;
    *out = (cli_rates){0};
    if (!load(&all, path, sizeof path)) return;
    make_keys(model, threads, &k);
    out->disk_bytes_per_s = value_of(&all, k.disk);
    out->memory_bytes_per_s = value_of(&all, k.memory);
    out->weights_bytes_per_s = value_of(&all, k.weights_of_model);
    out->guesses_right = value_of(&all, k.guesses);
    out->expert_habit = value_of(&all, k.experts);
    out->weights_of_model = out->weights_bytes_per_s > 0;
    if (!out->weights_of_model) out->weights_bytes_per_s = value_of(&all, k.weights);
}

void cli_rates_save(const char *model, uint32_t threads, const cli_rates *rates)
{
    static entries all;
    char path[PATH_MAX];
    keys k;
    if (!load(&all, path, sizeof path)) return;
    make_keys(model, threads, &k);
    put(&all, k.disk, rates->disk_bytes_per_s);
    put(&all, k.memory, rates->memory_bytes_per_s);
    put(&all, k.weights, rates->weights_bytes_per_s);
    put(&all, k.weights_of_model, rates->weights_bytes_per_s);
    put(&all, k.guesses, rates->guesses_right);
    put(&all, k.experts, rates->expert_habit);
    save(&all, path);
}

static void network_key(const char *host, char key[KEY_BYTES])
{
    snprintf(key, KEY_BYTES, "network@");
    add_name(key, host);
}

double cli_rates_network(const char *host)
{
    static entries all;
    char path[PATH_MAX], key[KEY_BYTES];
    network_key(host, key);
    return load(&all, path, sizeof path) ? value_of(&all, key) : 0;
}

void cli_rates_keep_network(const char *host, double bytes_per_s)
{
    static entries all;
    char path[PATH_MAX], key[KEY_BYTES];
    network_key(host, key);
    if (!load(&all, path, sizeof path)) return;
    put(&all, key, bytes_per_s);
    save(&all, path);
}
