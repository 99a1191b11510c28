/* list.c - what lies in the cache, and taking it away. Of other programs' files only models are touched, and these only when
 * somebody names them, or nobody can name them any more. */
#define _GNU_SOURCE
#include "json_in.h"
#include "model.h"
#include "part.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#define PART ".part"
#define STATE ".part.state"

static bool ends(const char *text, const char *with)
{
    size_t len = strlen(text), n = strlen(with);
    return len >= n && strcmp(text + len - n, with) == 0;
}

/* ---- where a file stands ------------------------------------------------------------------------------------- */

typedef enum place { PLACE_OTHER, PLACE_SNAPSHOT, PLACE_BLOB, PLACE_URL, PLACE_MANIFEST } place;

typedef struct spot {
    place place;
    char repo[FETCH_NAME_BYTES]; /* owner/repo */
    char folder[FETCH_NAME_BYTES];
    char revision[80];
    const char *file; /* what stands behind */
} spot;

static bool take_word(const char **at, char *out, size_t cap)
{
    size_t len = strcspn(*at, "/");
    if ((*at)[len] != '/' || len >= cap) return false;
    snprintf(out, cap, "%.*s", (int)len, *at);
    *at += len + 1;
    return true;
}

static bool skip(const char **at, const char *word)
{
    size_t len = strlen(word);
    if (strncmp(*at, word, len) != 0) return false;
    *at += len;
    return true;
}

static spot spot_of(const char *path)
{
    spot s = {.file = path};
    if (skip(&s.file, "chord/urls/")) s.place = PLACE_URL;
    else if (skip(&s.file, "chord/ollama/manifests/")) s.place = PLACE_MANIFEST;
    else if (skip(&s.file, "chord/ollama/blobs/")) s.place = PLACE_BLOB;
    if (s.place != PLACE_OTHER || !skip(&s.file, "models--")) return s;
    const char *name = s.file, *dashes = strstr(name, "--");
    if (dashes == NULL || !take_word(&s.file, s.folder, sizeof s.folder) || dashes > s.file) return s;
    snprintf(s.repo, sizeof s.repo, "%.*s/%s", (int)(dashes - name), s.folder, s.folder + (dashes - name) + 2);
    if (skip(&s.file, "blobs/")) s.place = PLACE_BLOB;
    else if (skip(&s.file, "snapshots/") && take_word(&s.file, s.revision, sizeof s.revision)) s.place = PLACE_SNAPSHOT;
    return s;
}

/* The revision that main is, of a repository's folder. */
static bool is_main(const fetch *f, const spot *s)
{
    char path[FETCH_PATH_BYTES], line[80];
    snprintf(path, sizeof path, "%.2000s/models--%s/refs/main", f->hub, s->folder);
    return fetch_read_line(path, line, sizeof line) && strcmp(line, s->revision) == 0;
}

/* Does any branch or tag lead to it? */
typedef struct reference {
    const char *folder, *revision;
    bool found;
} reference;

static void look_at_reference(void *ud, const char *path, uint64_t bytes)
{
    reference *r = ud;
    char file[FETCH_PATH_BYTES], line[80];
    (void)bytes;
    if (fetch_join(file, r->folder, path) && fetch_read_line(file, line, sizeof line))
        r->found = r->found || strcmp(line, r->revision) == 0;
}

static bool is_referred_to(const fetch *f, const spot *s)
{
    char folder[FETCH_PATH_BYTES];
    reference r = {.folder = folder, .revision = s->revision};
    snprintf(folder, sizeof folder, "%.2000s/models--%s/refs", f->hub, s->folder);
    fetch_walk(folder, look_at_reference, &r);
    return r.found;
}

/* ---- the list ----------------------------------------------------------------------------------------------------- */

typedef struct listing {
    fetch *f;
    void (*each)(void *ud, const fetch_entry *entry);
    void *ud;
} listing;

/* Of the manifest's file only the name says what it is. */
static bool show_manifest(const fetch *f, const spot *s, char *source, size_t cap, fetch_entry *e, char *path)
{
    fetch_name name = {.kind = FETCH_OLLAMA};
    fetch_model m;
    bool found;
    const char *slash = strrchr(s->file, '/');
    if (slash == NULL) return false;
    snprintf(name.repo, sizeof name.repo, "%.*s", (int)(slash - s->file), s->file);
    snprintf(name.tag, sizeof name.tag, "%s", slash + 1);
    const char *shown = strncmp(name.repo, "library/", 8) == 0 ? name.repo + 8 : name.repo;
    snprintf(source, cap, "ollama:%s:%s", shown, name.tag);
    if (fetch_model_cached(f, &name, &m, &found, NULL) != CHORD_OK) return false;
    if (found) {
        snprintf(path, FETCH_PATH_BYTES, "%s", m.jobs[0].path);
        e->bytes = e->have_bytes = m.jobs[0].bytes;
    }
    fetch_model_free(&m);
    return found;
}

static bool show_url(const fetch *f, char *path, char *source, size_t cap, char sum[65])
{
    char kept[FETCH_PATH_BYTES];
    snprintf(kept, sizeof kept, "%s", path);
    if (ends(kept, PART)) kept[strlen(kept) - strlen(PART)] = '\0';
    if (ends(kept, ".json") || ends(kept, ".lock") || ends(kept, STATE)) return false;
    if (!fetch_model_remembered(f, kept, "sha256", sum, 65)) sum[0] = '\0';
    if (!fetch_model_remembered(f, kept, "url", source, cap)) snprintf(source, cap, "%s", strrchr(kept, '/') + 1);
    return true;
}

static void show(void *ud, const char *relative, uint64_t bytes)
{
    const listing *l = ud;
    char path[FETCH_PATH_BYTES], source[FETCH_URL_BYTES] = "", sum[65] = "", real[FETCH_PATH_BYTES];
    fetch_entry e = {.source = source, .path = path, .sha256 = sum, .bytes = bytes, .have_bytes = bytes};
    spot s = spot_of(relative);
    e.whole = !ends(relative, PART);
    if (!fetch_join(path, l->f->hub, relative)) return;
    if (s.place == PLACE_SNAPSHOT && fetch_is_model(s.file)) {
        ssize_t n = readlink(path, real, sizeof real - 1);
        if (n >= 64) snprintf(sum, sizeof sum, "%.64s", real + n - 64);
        if (!fetch_is_sum(sum)) sum[0] = '\0';
        snprintf(source, sizeof source, "hf:%s/%s%s", s.repo, s.file, is_main(l->f, &s) ? "" : " (an older revision)");
    } else if (s.place == PLACE_BLOB && !e.whole) {
        snprintf(source, sizeof source, "%s%s", s.repo[0] != '\0' ? "hf:" : "ollama", s.repo);
        snprintf(sum, sizeof sum, "%.64s", s.file + (strncmp(s.file, "sha256-", 7) == 0 ? 7 : 0));
    } else if (s.place == PLACE_URL) {
        if (!show_url(l->f, path, source, sizeof source, sum)) return;
    } else if (s.place != PLACE_MANIFEST || !show_manifest(l->f, &s, source, sizeof source, &e, path)) {
        return;
    }
    if (!e.whole) {
        path[strlen(path) - strlen(PART)] = '\0';
        if (!fetch_part_peek(path, &e.have_bytes, &e.bytes)) e.have_bytes = 0;
    }
    l->each(l->ud, &e);
}

chord_status fetch_list(fetch *f, void (*each)(void *ud, const fetch_entry *entry), void *ud, chord_error *err)
{
    listing l = {.f = f, .each = each, .ud = ud};
    (void)err;
    fetch_walk(f->hub, show, &l);
    return CHORD_OK;
}

/* ---- taking away --------------------------------------------------------------------------------------------------- */

typedef struct removal {
    fetch *f;
    const fetch_name *name; /* NULL: what nobody needs any more */
    char url_folder[FETCH_PATH_BYTES];
    char **paths; /* in the cache */
    size_t count;
    bool failed;
} removal;

static bool is_meant(const removal *r, const spot *s, const char *path)
{
    const fetch_name *n = r->name;
    bool part = ends(path, PART) || ends(path, STATE);
    if (n == NULL) return s->place == PLACE_SNAPSHOT ? fetch_is_model(s->file) && !is_referred_to(r->f, s) : part;
    if (n->kind == FETCH_URL) return strncmp(path, r->url_folder, strlen(r->url_folder)) == 0;
    if (n->kind == FETCH_OLLAMA) {
        size_t len = strlen(n->repo);
        return s->place == PLACE_MANIFEST && strncmp(s->file, n->repo, len) == 0 && s->file[len] == '/' &&
               strcmp(s->file + len + 1, n->tag) == 0;
    }
    if (strcmp(s->repo, n->repo) != 0) return false;
    if (n->file[0] != '\0') return s->place == PLACE_SNAPSHOT && strcmp(s->file, n->file) == 0;
    if (n->tag[0] != '\0')
        return s->place == PLACE_SNAPSHOT && fetch_is_model(s->file) && fetch_has_tag(s->file, n->tag);
    return s->place == PLACE_SNAPSHOT ? fetch_is_model(s->file) : s->place == PLACE_BLOB && part;
}

static void gather(void *ud, const char *path, uint64_t bytes)
{
    removal *r = ud;
    spot s = spot_of(path);
    (void)bytes;
    if (s.place == PLACE_OTHER || !is_meant(r, &s, path)) return;
    char **longer = realloc(r->paths, (r->count + 1) * sizeof *longer);
    if (longer != NULL) r->paths = longer;
    char *copy = longer != NULL ? strdup(path) : NULL;
    r->failed = r->failed || copy == NULL;
    if (copy != NULL) r->paths[r->count++] = copy;
}

/* Somebody is bringing it. */
static bool is_locked(const fetch *f, const char *path, const spot *s)
{
    char lock[FETCH_PATH_BYTES], file[FETCH_NAME_BYTES];
    snprintf(file, sizeof file, "%s", s->file);
    if (!ends(path, PART) && !ends(path, STATE)) return false;
    *strstr(file, PART) = '\0';
    if (s->repo[0] != '\0') snprintf(lock, sizeof lock, "%.1500s/.locks/models--%s/%s.lock", f->hub, s->folder, file);
    else snprintf(lock, sizeof lock, "%.2000s/%.*s%s.lock", f->hub, (int)(s->file - path), path, file);
    int fd = open(lock, O_RDWR | O_CLOEXEC);
    bool locked = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0;
    if (fd >= 0) close(fd);
    return locked;
}

/* Is there another name in the folder that leads to the same bytes? */
typedef struct sharing {
    const char *folder, *blob;
    bool found;
} sharing;

static void look_at_link(void *ud, const char *path, uint64_t bytes)
{
    sharing *s = ud;
    char file[FETCH_PATH_BYTES], *real = fetch_join(file, s->folder, path) ? realpath(file, NULL) : NULL;
    (void)bytes;
    s->found = s->found || (real != NULL && strcmp(real, s->blob) == 0);
    free(real);
}

static bool names_blob(const char *manifest, const char *blob)
{
    char line[FETCH_URL_BYTES];
    const char *sum = strrchr(blob, '-') + 1;
    bool found = false;
    FILE *file = fopen(manifest, "rbe");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) found = found || strstr(line, sum) != NULL;
    if (file != NULL) fclose(file);
    return found;
}

static void look_at_manifest(void *ud, const char *path, uint64_t bytes)
{
    sharing *s = ud;
    char file[FETCH_PATH_BYTES];
    (void)bytes;
    s->found = s->found || (fetch_join(file, s->folder, path) && names_blob(file, s->blob));
}

/* The bytes go with the last name that leads to them. */
static uint64_t drop_blob(const fetch *f, const spot *s, const char *blob)
{
    char folder[FETCH_PATH_BYTES];
    uint64_t bytes = 0;
    sharing others = {.folder = folder, .blob = blob};
    bool hub = s->place == PLACE_SNAPSHOT;
    if (hub) snprintf(folder, sizeof folder, "%.2000s/models--%s/snapshots", f->hub, s->folder);
    else snprintf(folder, sizeof folder, "%.2000s/ollama/manifests", f->own);
    fetch_walk(folder, hub ? look_at_link : look_at_manifest, &others);
    if (others.found || !fetch_file_bytes(blob, &bytes) || unlink(blob) != 0) return 0;
    return bytes;
}

static uint64_t take_away(const fetch *f, const char *relative)
{
    char path[FETCH_PATH_BYTES], source[FETCH_URL_BYTES], blob[FETCH_PATH_BYTES] = "";
    uint64_t freed = 0;
    fetch_entry ignored = {0};
    spot s = spot_of(relative);
    if (!fetch_join(path, f->hub, relative) || is_locked(f, relative, &s)) return 0;
    if (s.place == PLACE_SNAPSHOT) {
        char *real = realpath(path, NULL);
        if (real != NULL && strcmp(real, path) != 0) snprintf(blob, sizeof blob, "%s", real);
        free(real);
    } else if (s.place == PLACE_MANIFEST && !show_manifest(f, &s, source, sizeof source, &ignored, blob)) {
        blob[0] = '\0';
    }
    if (ends(path, PART)) {
        char whole[FETCH_PATH_BYTES];
        snprintf(whole, sizeof whole, "%.*s", (int)(strlen(path) - strlen(PART)), path);
        (void)fetch_part_peek(whole, &freed, &ignored.bytes);
    } else if (blob[0] == '\0') {
        (void)fetch_file_bytes(path, &freed);
    }
    fetch_remove_up(path, f->hub);
    return freed + (blob[0] != '\0' ? drop_blob(f, &s, blob) : 0);
}

static int parts_first(const void *a, const void *b) /* the state of a part is needed until the part is gone */
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    int state = ends(x, STATE) - ends(y, STATE);
    return state != 0 ? state : strcmp(x, y);
}

static chord_status take_all_away(removal *r, uint64_t *freed, chord_error *err)
{
    *freed = 0;
    fetch_walk(r->f->hub, gather, r);
    if (r->count > 0) qsort(r->paths, r->count, sizeof *r->paths, parts_first);
    for (size_t i = 0; i < r->count; i++) {
        if (!r->failed) *freed += take_away(r->f, r->paths[i]);
        free(r->paths[i]);
    }
    free(r->paths);
    return r->failed ? chord_fail(err, CHORD_NO_MEMORY, "no memory for a list of files") : CHORD_OK;
}

chord_status fetch_remove(fetch *f, const char *source, uint64_t *freed_bytes, chord_error *err)
{
    fetch_name name;
    removal r = {.f = f, .name = &name};
    CHORD_TRY(fetch_name_read(source, &name, err));
    snprintf(r.url_folder, sizeof r.url_folder, "chord/urls/%016" PRIx64 "/",
             chord_hash_of(name.url, strlen(name.url)));
    CHORD_TRY(take_all_away(&r, freed_bytes, err));
    return r.count > 0 ? CHORD_OK
                       : chord_fail(err, CHORD_INVALID, "the cache (%.150s) has nothing of %.150s", f->hub, source);
}

chord_status fetch_prune(fetch *f, uint64_t *freed_bytes, chord_error *err)
{
    removal r = {.f = f};
    return take_all_away(&r, freed_bytes, err);
}
