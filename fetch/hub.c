/* hub.c - Hugging Face: its lists, and its cache, which other programs share. */
#include "http.h"
#include "json_in.h"
#include "model.h"

#include <ctype.h>

#define PAGES_MAX 100
#define FILES_MAX 20000u

/* models--OWNER--REPO */
bool fetch_hub_folder(const fetch *f, const char *repo, char out[FETCH_PATH_BYTES])
{
    const char *slash = strchr(repo, '/');
    int n = snprintf(out, FETCH_PATH_BYTES, "%s/models--%.*s--%s", f->hub, (int)(slash - repo), repo, slash + 1);
    return n > 0 && n + FETCH_NAME_BYTES < FETCH_PATH_BYTES;
}

static chord_status add_file(fetch_files *files, const char *path, const char *sum, const char *blob, uint64_t bytes,
                             chord_error *err)
{
    if (files->count % 64 == 0) {
        void *longer = realloc(files->list, (files->count + 64) * sizeof *files->list);
        if (longer == NULL || files->count >= FILES_MAX)
            return chord_fail(err, CHORD_NO_MEMORY, "no memory for a list of %u files", files->count);
        files->list = longer;
    }
    fetch_file *file = &files->list[files->count++];
    *file = (fetch_file){.bytes = bytes};
    snprintf(file->path, sizeof file->path, "%s", path);
    snprintf(file->sha256, sizeof file->sha256, "%s", sum);
    snprintf(file->blob, sizeof file->blob, "%s", blob);
    return CHORD_OK;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const fetch_file *)a)->path, ((const fetch_file *)b)->path);
}

/* ---- the cache -------------------------------------------------------------------------------------------------- */

typedef struct listing {
    fetch_files files;
    chord_status status;
    chord_error *err;
} listing;

static void list_file(void *ud, const char *path, uint64_t bytes)
{
    listing *l = ud;
    if (l->status == CHORD_OK && strlen(path) < FETCH_NAME_BYTES)
        l->status = add_file(&l->files, path, "", "", bytes, l->err);
}

static chord_status take_cached(const fetch_files *files, const char *snapshot, fetch_model *out, chord_error *err)
{
    CHORD_TRY(fetch_model_jobs(out, files->count, err));
    for (uint32_t i = 0; i < files->count; i++) {
        fetch_job *job = &out->jobs[i];
        snprintf(job->what, sizeof job->what, "%s", files->list[i].path);
        if (!fetch_join(job->path, snapshot, files->list[i].path))
            return chord_fail(err, CHORD_INVALID, "%.200s is too long a name", snapshot);
        job->bytes = files->list[i].bytes;
        job->here = true;
    }
    return CHORD_OK;
}

chord_status fetch_hub_cached(const fetch *f, fetch_model *out, bool *found, chord_error *err)
{
    const fetch_name *n = &out->name;
    char folder[FETCH_PATH_BYTES], path[FETCH_PATH_BYTES];
    chord_error ignored;
    listing l = {.err = err};
    *found = false;
    if (!fetch_hub_folder(f, n->repo, folder) || !fetch_join(path, folder, "refs/main") ||
        !fetch_read_line(path, out->revision, sizeof out->revision) || !fetch_is_safe_path(out->revision))
        return CHORD_OK;
    int len = snprintf(path, sizeof path, "%s/snapshots/%s", folder, out->revision);
    if (len < 0 || (size_t)len >= sizeof path) return CHORD_OK;
    fetch_walk(path, list_file, &l);
    if (l.files.count > 0) qsort(l.files.list, l.files.count, sizeof *l.files.list, by_path);
    *found = l.status == CHORD_OK && fetch_choose(n, &l.files, &ignored) == CHORD_OK;
    if (*found) l.status = take_cached(&l.files, path, out, err);
    free(l.files.list);
    return l.status;
}

/* ---- what the hub says ------------------------------------------------------------------------------------------ */

static chord_status ask_json(const fetch *f, const char *url, fetch_json *j, fetch_answer *answer, chord_error *err)
{
    j->root = NULL;
    CHORD_TRY(fetch_text(f, url, fetch_token_for(f, url), NULL, &j->body, answer, err));
    return answer->status == 200 ? fetch_json_read(j, url, err) : CHORD_OK;
}

static bool take_commit(fetch_model *out, const char *commit)
{
    size_t len = strlen(commit);
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)commit[i])) return false;
    if (len == 0 || len >= sizeof out->revision) return false;
    memcpy(out->revision, commit, len + 1);
    return true;
}

/* Of the branch main. Mirrors may not know the list of branches. */
static chord_status ask_commit(const fetch *f, fetch_model *out, fetch_json *j, chord_error *err)
{
    char url[FETCH_URL_BYTES];
    const char *repo = out->name.repo;
    const chord_json *branch;
    fetch_answer answer;
    snprintf(url, sizeof url, "%s/api/models/%s/refs", f->hub_url, repo);
    CHORD_TRY(ask_json(f, url, j, &answer, err));
    const chord_json *branches = j->root != NULL ? chord_json_get(j->root, "branches") : NULL;
    for (size_t i = 0; (branch = fetch_json_item(branches, i)) != NULL; i++)
        if (strcmp(fetch_json_text(branch, "name"), "main") == 0 &&
            take_commit(out, fetch_json_text(branch, "targetCommit")))
            return CHORD_OK;
    if (answer.status == 401 || answer.status == 403 || answer.status == 429)
        return fetch_fail_status(&answer, repo, err);
    snprintf(url, sizeof url, "%s/api/models/%s/revision/main", f->hub_url, repo);
    CHORD_TRY(ask_json(f, url, j, &answer, err));
    if (answer.status != 200) return fetch_fail_status(&answer, repo, err);
    if (take_commit(out, fetch_json_text(j->root, "sha"))) return CHORD_OK;
    return chord_fail(err, CHORD_CORRUPT, "%.200s: the hub does not say what main is", repo);
}

static chord_status take_entry(const chord_json *entry, fetch_files *files, chord_error *err)
{
    const chord_json *lfs = chord_json_get(entry, "lfs");
    const char *path = fetch_json_text(entry, "path"), *sum = fetch_json_text(lfs, "oid");
    if (strcmp(fetch_json_text(entry, "type"), "file") != 0 || !fetch_is_safe_path(path) || !fetch_is_model(path))
        return CHORD_OK;
    if (!fetch_is_sum(sum)) sum = "";
    const char *blob = sum[0] != '\0' ? sum : fetch_json_text(entry, "oid");
    if (strlen(blob) >= sizeof files->list->blob || !fetch_is_safe_path(blob) || strchr(blob, '/') != NULL)
        return CHORD_OK;
    return add_file(files, path, sum, blob, fetch_json_number(entry, "size"), err);
}

static chord_status ask_tree(const fetch *f, const fetch_model *m, fetch_files *files, fetch_json *j, chord_error *err)
{
    char url[FETCH_URL_BYTES];
    const chord_json *entry;
    fetch_answer answer = {0};
    snprintf(url, sizeof url, "%s/api/models/%s/tree/%s?recursive=true", f->hub_url, m->name.repo, m->revision);
    for (int page = 0; page < PAGES_MAX && url[0] != '\0'; page++) {
        CHORD_TRY(ask_json(f, url, j, &answer, err));
        if (answer.status != 200) return fetch_fail_status(&answer, m->name.repo, err);
        for (size_t i = 0; (entry = fetch_json_item(j->root, i)) != NULL; i++) CHORD_TRY(take_entry(entry, files, err));
        memcpy(url, answer.next, sizeof url);
    }
    if (files->count > 0) qsort(files->list, files->count, sizeof *files->list, by_path);
    return CHORD_OK;
}

/* Letters that stand for themselves, and slashes. */
static void escape(const char *path, char *out, size_t cap)
{
    size_t used = 0;
    for (; *path != '\0' && used + 4 < cap; path++) {
        if (isalnum((unsigned char)*path) || strchr("-_.~/", *path) != NULL) out[used++] = *path;
        else used += (size_t)snprintf(out + used, cap - used, "%%%02X", (unsigned char)*path);
    }
    out[used] = '\0';
}

static chord_status make_jobs(const fetch *f, fetch_model *m, const fetch_files *files, chord_error *err)
{
    char folder[FETCH_PATH_BYTES], escaped[3 * FETCH_NAME_BYTES];
    CHORD_TRY(fetch_model_jobs(m, files->count, err));
    if (!fetch_hub_folder(f, m->name.repo, folder))
        return chord_fail(err, CHORD_INVALID, "%.200s is too long a name", f->hub);
    for (uint32_t i = 0; i < files->count; i++) {
        const fetch_file *file = &files->list[i];
        fetch_job *job = &m->jobs[i];
        escape(file->path, escaped, sizeof escaped);
        snprintf(job->what, sizeof job->what, "%s", file->path);
        snprintf(job->url, sizeof job->url, "%s/%s/resolve/%s/%s", f->hub_url, m->name.repo, m->revision, escaped);
        snprintf(job->token, sizeof job->token, "%s", f->token != NULL ? f->token : "");
        snprintf(job->path, sizeof job->path, "%.3000s/blobs/%s", folder, file->blob);
        snprintf(job->lock, sizeof job->lock, "%.1500s/.locks/%.1500s/%s.lock", f->hub, strrchr(folder, '/') + 1,
                 file->blob);
        snprintf(job->link, sizeof job->link, "%.3000s/snapshots/%s/%s", folder, m->revision, file->path);
        snprintf(job->sha256, sizeof job->sha256, "%s", file->sha256);
        job->bytes = file->bytes;
        job->here = fetch_file_bytes(job->link, &job->bytes) || fetch_file_bytes(job->path, &job->bytes);
    }
    return CHORD_OK;
}

chord_status fetch_hub_ask(const fetch *f, fetch_model *out, chord_error *err)
{
    fetch_json j;
    fetch_files files = {0};
    fetch_json_init(&j, f);
    chord_status status = ask_commit(f, out, &j, err);
    if (status == CHORD_OK) status = ask_tree(f, out, &files, &j, err);
    if (status == CHORD_OK) status = fetch_choose(&out->name, &files, err);
    if (status == CHORD_OK) status = make_jobs(f, out, &files, err);
    free(files.list);
    fetch_json_free(&j);
    return status;
}
