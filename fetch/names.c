/* names.c - names of models. */
#include "names.h"

#include "base/base.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static bool begins(const char *text, const char *with) { return strncasecmp(text, with, strlen(with)) == 0; }

bool fetch_is_remote(const char *source)
{
    return source != NULL && (begins(source, "hf:") || begins(source, "ollama:") || begins(source, "https://") ||
                              begins(source, "http://"));
}

/* ---- reading names -------------------------------------------------------------------------------------- */

static chord_status refuse(chord_error *err, const char *source)
{
    return chord_fail(err, CHORD_INVALID,
                      "'%.100s' names no model: write hf:OWNER/REPO, hf:OWNER/REPO:TAG, hf:OWNER/REPO/FILE.gguf, "
                      "ollama:NAME:TAG or https://HOST/FILE.gguf",
                      source);
}

/* Letters of names that become folders; nothing that could climb out of one. */
static bool is_plain(const char *text, bool slashes)
{
    if (*text == '\0' || *text == '/' || *text == '.' || strstr(text, "..") != NULL || strstr(text, "//") != NULL ||
        strstr(text, "/.") != NULL || text[strlen(text) - 1] == '/')
        return false;
    for (; *text != '\0'; text++)
        if (!isalnum((unsigned char)*text) && strchr("-_.+", *text) == NULL && (!slashes || *text != '/')) return false;
    return true;
}

static size_t slashes_in(const char *text)
{
    size_t n = 0;
    for (; *text != '\0'; text++) n += *text == '/';
    return n;
}

/* Cuts text at its first c; what stands behind, or NULL. */
static char *cut(char *text, char c)
{
    char *at = strchr(text, c);
    if (at != NULL) *at++ = '\0';
    return at;
}

static bool read_hub(fetch_name *n)
{
    char *tag = cut(n->repo, ':'), *slash = strchr(n->repo, '/'), *file = slash != NULL ? cut(slash + 1, '/') : NULL;
    if (tag != NULL) snprintf(n->tag, sizeof n->tag, "%s", tag);
    if (file != NULL) snprintf(n->file, sizeof n->file, "%s", file);
    bool repo = is_plain(n->repo, true) && slashes_in(n->repo) == 1;
    return repo && (tag == NULL || is_plain(tag, false)) && (file == NULL || is_plain(file, true)) &&
           (tag == NULL || file == NULL);
}

static bool read_ollama(fetch_name *n, const char *text)
{
    bool owned = strchr(text, '/') != NULL;
    snprintf(n->repo, sizeof n->repo, "%s%s", owned ? "" : "library/", text);
    char *tag = cut(n->repo, ':');
    snprintf(n->tag, sizeof n->tag, "%s", tag != NULL ? tag : "latest");
    return is_plain(n->repo, true) && slashes_in(n->repo) == 1 && is_plain(n->tag, false);
}

static uint32_t hex(char c) { return chord_hex_digit(c); }

/* The last part of the URL's path, its escapes undone; what could not be a file's name here becomes a '_'. */
static void name_of_url(const char *url, char *out, size_t cap)
{
    size_t end = strcspn(url, "?#"), first = end, used = 0;
    while (first > 0 && url[first - 1] != '/') first--;
    for (size_t i = first; i < end && used + 1 < cap && used < 200; i++) {
        char c = url[i];
        if (c == '%' && i + 2 < end && hex(url[i + 1]) < 16 && hex(url[i + 2]) < 16) {
            c = (char)(hex(url[i + 1]) * 16 + hex(url[i + 2]));
            i += 2;
        }
        bool plain = isalnum((unsigned char)c) || strchr("-_+", c) != NULL || (c == '.' && used > 0);
        out[used++] = c != '\0' && plain ? c : '_';
    }
    out[used] = '\0';
    if (used == 0) snprintf(out, cap, "model.gguf");
}

chord_status fetch_name_read(const char *source, fetch_name *n, chord_error *err)
{
    *n = (fetch_name){0};
    if (strlen(source) >= (begins(source, "http") ? FETCH_PATH_BYTES : FETCH_NAME_BYTES) - sizeof "library/")
        return chord_fail(err, CHORD_INVALID, "'%.60s...' is too long a name: it has %zu bytes", source,
                          strlen(source));
    if (begins(source, "hf:")) {
        n->kind = FETCH_HUB;
        snprintf(n->repo, sizeof n->repo, "%s", source + 3);
        return read_hub(n) ? CHORD_OK : refuse(err, source);
    }
    if (begins(source, "ollama:")) {
        n->kind = FETCH_OLLAMA;
        return read_ollama(n, source + 7) ? CHORD_OK : refuse(err, source);
    }
    const char *host = strstr(source, "://");
    if (host == NULL || host[3] == '\0' || host[3] == '/') return refuse(err, source);
    for (const char *c = source; *c != '\0'; c++)
        if ((unsigned char)*c <= ' ') return refuse(err, source);
    if (memchr(host + 3, '@', strcspn(host + 3, "/?#")) != NULL)
        return chord_fail(err, CHORD_INVALID, "a URL with a password in it is refused: it would be kept and shown");
    n->kind = FETCH_URL;
    snprintf(n->url, sizeof n->url, "%.*s", (int)strcspn(source, "#"), source);
    name_of_url(n->url, n->file, sizeof n->file);
    return CHORD_OK;
}

/* ---- files of a repository ---------------------------------------------------------------------------------- */

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static bool has_word(const char *text, const char *word)
{
    for (; *text != '\0'; text++)
        if (begins(text, word)) return true;
    return false;
}

static bool ends(const char *text, const char *with)
{
    size_t len = strlen(text), n = strlen(with);
    return len >= n && strcasecmp(text + len - n, with) == 0;
}

static bool number_of(const char *digits, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < 5; i++) {
        if (digits[i] < '0' || digits[i] > '9') return false;
        *out = *out * 10 + (uint32_t)(digits[i] - '0');
    }
    return true;
}

bool fetch_split(const char *path, size_t *stem, uint32_t *part, uint32_t *parts)
{
    static const char SHAPE[] = "-00001-of-00003.gguf";
    size_t len = strlen(path), n = sizeof SHAPE - 1;
    if (len <= n || !ends(path, ".gguf") || path[len - n] != '-') return false;
    const char *at = path + len - n + 1;
    *stem = len - n + 1;
    return number_of(at, part) && strncmp(at + 5, "-of-", 4) == 0 && number_of(at + 9, parts) && *part >= 1 &&
           *part <= *parts;
}

void fetch_split_name(const char *path, uint32_t part, char *out, size_t cap)
{
    size_t stem;
    uint32_t own, parts;
    if (!fetch_split(path, &stem, &own, &parts)) snprintf(out, cap, "%s", path);
    else snprintf(out, cap, "%.*s%05u%s", (int)stem, path, part, path + stem + 5);
}

bool fetch_is_model(const char *path)
{
    static const char *const OTHERS[] = {"mmproj", "imatrix"}, *const HEADS[] = {"mtp-", "eagle3-"};
    const char *name = base_of(path);
    for (size_t i = 0; i < CHORD_COUNT(OTHERS); i++)
        if (has_word(name, OTHERS[i])) return false;
    for (size_t i = 0; i < CHORD_COUNT(HEADS); i++)
        if (begins(name, HEADS[i])) return false;
    return ends(name, ".gguf");
}

bool fetch_has_tag(const char *path, const char *tag)
{
    const char *name = base_of(path);
    for (const char *at = name; *at != '\0'; at++) {
        char before = at > name ? at[-1] : '-', behind = '\0';
        if (begins(at, tag)) behind = at[strlen(tag)];
        if (!isalnum((unsigned char)before) && (behind == '.' || behind == '-')) return true;
    }
    return false;
}

/* Stands a model there whose first file this is? */
static bool is_first(const fetch_file *f)
{
    size_t stem;
    uint32_t part, parts;
    return fetch_is_model(f->path) && (!fetch_split(f->path, &stem, &part, &parts) || part == 1);
}

static const fetch_file *find_tag(const fetch_files *files, const char *tag)
{
    for (uint32_t i = 0; i < files->count; i++)
        if (is_first(&files->list[i]) && fetch_has_tag(files->list[i].path, tag)) return &files->list[i];
    return NULL;
}

static const fetch_file *find_path(const fetch_files *files, const char *path)
{
    for (uint32_t i = 0; i < files->count; i++)
        if (strcmp(files->list[i].path, path) == 0) return &files->list[i];
    return NULL;
}

static chord_status fail_choice(const fetch_name *n, const fetch_files *files, chord_error *err)
{
    char list[256] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < files->count; i++) {
        const char *path = files->list[i].path;
        if (!is_first(&files->list[i])) continue;
        if (used + strlen(path) + 8 > sizeof list) {
            snprintf(list + used, sizeof list - used, ", ...");
            break;
        }
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used > 0 ? ", " : "", path);
    }
    if (used == 0)
        return chord_fail(err, CHORD_INVALID,
                          "%.100s has no model as a GGUF file: look for a repository whose name ends in -GGUF",
                          n->repo);
    return chord_fail(err, CHORD_INVALID, "%.80s has nothing for '%.60s'; it has %s", n->repo,
                      n->file[0] != '\0' ? n->file : n->tag, list);
}

static const fetch_file *choose_first(const fetch_name *n, const fetch_files *files)
{
    static const char *const DEFAULTS[] = {"Q4_K_M", "Q8_0"};
    if (n->file[0] != '\0') return find_path(files, n->file);
    if (n->tag[0] != '\0') return find_tag(files, n->tag);
    for (size_t i = 0; i < CHORD_COUNT(DEFAULTS); i++) {
        const fetch_file *found = find_tag(files, DEFAULTS[i]);
        if (found != NULL) return found;
    }
    for (uint32_t i = 0; i < files->count; i++)
        if (is_first(&files->list[i])) return &files->list[i];
    return NULL;
}

chord_status fetch_choose(const fetch_name *n, fetch_files *files, chord_error *err)
{
    size_t stem;
    uint32_t part, parts;
    const fetch_file *first = choose_first(n, files);
    if (first == NULL) return fail_choice(n, files, err);
    if (!fetch_split(first->path, &stem, &part, &parts)) parts = 1;
    if (parts > FETCH_PARTS_MAX)
        return chord_fail(err, CHORD_UNSUPPORTED, "%.200s: %u parts, at most %d are possible", first->path, parts,
                          FETCH_PARTS_MAX);
    fetch_file *chosen = calloc(parts, sizeof *chosen);
    if (chosen == NULL) return chord_fail(err, CHORD_NO_MEMORY, "no memory for the names of %u files", parts);
    for (uint32_t i = 0; i < parts; i++) {
        char path[FETCH_NAME_BYTES];
        fetch_split_name(first->path, i + 1, path, sizeof path);
        const fetch_file *found = parts == 1 ? first : find_path(files, path);
        if (found == NULL) {
            free(chosen);
            return chord_fail(err, CHORD_CORRUPT, "%.80s has no %.200s, a part of the model", n->repo, path);
        }
        chosen[i] = *found;
    }
    free(files->list);
    *files = (fetch_files){.list = chosen, .count = parts};
    return CHORD_OK;
}

/* ---- hosts ------------------------------------------------------------------------------------------------------ */

static const char *host_part(const char *url, size_t *len)
{
    const char *host = strstr(url, "://");
    host = host != NULL ? host + 3 : url;
    *len = strcspn(host, "/?#");
    return host;
}

void fetch_host_of(const char *url, char *out, size_t cap)
{
    size_t len;
    const char *host = host_part(url, &len);
    snprintf(out, cap, "%.*s", (int)len, host);
}

bool fetch_same_origin(const char *a, const char *b)
{
    size_t la, lb;
    const char *ha = host_part(a, &la), *hb = host_part(b, &lb);
    return ha - a == hb - b && la == lb && strncasecmp(a, b, (size_t)(ha - a) + la) == 0;
}

bool fetch_is_loopback(const char *url)
{
    size_t len;
    const char *host = host_part(url, &len);
    if (len > 0 && host[0] == '[') return strncmp(host, "[::1]", 5) == 0;
    size_t name = strcspn(host, ":/?#");
    if (name == 9 && begins(host, "localhost")) return true;
    return begins(host, "127.") && strspn(host, "0123456789.") == name;
}
