/* ollama.c - ollama's registry and store. Theirs is read, ours is written; of what they keep of a model only the weights are
 * used, which have their template and vocabulary with them. */
#include "http.h"
#include "json_in.h"
#include "model.h"

#define MODEL_LAYER "application/vnd.ollama.image.model"
#define MANIFEST "application/vnd.docker.distribution.manifest.v2+json"

/* ---- manifests -------------------------------------------------------------------------------------------- */

/* The sum of the layer with the weights; "": there is none. */
static const char *model_sum(const chord_json *manifest, uint64_t *bytes)
{
    const chord_json *layers = chord_json_get(manifest, "layers"), *layer;
    for (size_t i = 0; (layer = fetch_json_item(layers, i)) != NULL; i++) {
        const char *digest = fetch_json_text(layer, "digest");
        if (strcmp(fetch_json_text(layer, "mediaType"), MODEL_LAYER) != 0 || strncmp(digest, "sha256:", 7) != 0)
            continue;
        *bytes = fetch_json_number(layer, "size");
        return fetch_is_sum(digest + 7) ? digest + 7 : "";
    }
    return "";
}

static chord_status make_job(const char *store, const char *sum, uint64_t bytes, fetch_model *m, chord_error *err)
{
    CHORD_TRY(fetch_model_jobs(m, 1, err));
    fetch_job *job = m->jobs;
    snprintf(job->what, sizeof job->what, "%.200s:%.200s", m->name.repo, m->name.tag);
    snprintf(job->path, sizeof job->path, "%.3000s/blobs/sha256-%s", store, sum);
    snprintf(job->lock, sizeof job->lock, "%.3000s/blobs/sha256-%s.lock", store, sum);
    snprintf(job->link, sizeof job->link, "%.3000s/manifests/%s/%s", store, m->name.repo, m->name.tag);
    snprintf(job->sha256, sizeof job->sha256, "%s", sum);
    job->bytes = bytes;
    job->here = fetch_file_bytes(job->path, &job->bytes);
    return CHORD_OK;
}

static bool own_store(const fetch *f, char out[FETCH_PATH_BYTES]) { return fetch_join(out, f->own, "ollama"); }

/* ---- what is there ------------------------------------------------------------------------------------------ */

static chord_status look_into(const fetch *f, const char *store, const char *manifests, fetch_model *m, bool *found,
                              chord_error *err)
{
    char path[FETCH_PATH_BYTES];
    uint64_t bytes;
    chord_error ignored;
    fetch_json j;
    int n = snprintf(path, sizeof path, "%.2000s/%s/%s/%s", store, manifests, m->name.repo, m->name.tag);
    if (n < 0 || (size_t)n >= sizeof path || !fetch_file_bytes(path, &bytes)) return CHORD_OK;
    fetch_json_init(&j, f);
    chord_status status = CHORD_OK;
    if (fetch_read_file(path, &j.body, &ignored) == CHORD_OK && fetch_json_read(&j, path, &ignored) == CHORD_OK) {
        const char *sum = model_sum(j.root, &bytes);
        if (sum[0] != '\0') status = make_job(store, sum, bytes, m, err);
        *found = status == CHORD_OK && m->count == 1 && m->jobs[0].here;
    }
    fetch_json_free(&j);
    return status;
}

chord_status fetch_ollama_cached(const fetch *f, fetch_model *out, bool *found, chord_error *err)
{
    char store[FETCH_PATH_BYTES];
    const char *theirs = getenv("OLLAMA_MODELS"), *home = getenv("HOME");
    *found = false;
    if (own_store(f, store)) CHORD_TRY(look_into(f, store, "manifests", out, found, err));
    if (*found) return CHORD_OK;
    if (theirs != NULL && theirs[0] == '/') snprintf(store, sizeof store, "%s", theirs);
    else if (home == NULL || home[0] != '/' || !fetch_join(store, home, ".ollama/models")) return CHORD_OK;
    fetch_model_free(out);
    return look_into(f, store, "manifests/registry.ollama.ai", out, found, err);
}

/* ---- what the registry says ------------------------------------------------------------------------------------ */

/* name="value" in a challenge; the value in out. */
static bool field(const char *challenge, const char *name, char *out, size_t cap)
{
    const char *at = strstr(challenge, name);
    size_t len = strlen(name);
    if (at == NULL || strncmp(at + len, "=\"", 2) != 0) return false;
    at += len + 2;
    snprintf(out, cap, "%.*s", (int)strcspn(at, "\""), at);
    return true;
}

/* Bearer realm="https://...",service="...",scope="...": whoever asks there gets a token for this one. */
static chord_status ask_token(const fetch *f, const char *challenge, fetch_json *j, char *token, size_t cap,
                              chord_error *err)
{
    char realm[512], service[256] = "", scope[256] = "", url[FETCH_URL_BYTES];
    fetch_answer answer;
    if (strncmp(challenge, "Bearer ", 7) != 0 || !field(challenge, "realm", realm, sizeof realm)) return CHORD_OK;
    (void)field(challenge, "service", service, sizeof service);
    (void)field(challenge, "scope", scope, sizeof scope);
    snprintf(url, sizeof url, "%s?service=%s&scope=%s", realm, service, scope);
    CHORD_TRY(fetch_text(f, url, NULL, NULL, &j->body, &answer, err));
    if (answer.status != 200) return fetch_fail_status(&answer, realm, err);
    CHORD_TRY(fetch_json_read(j, realm, err));
    snprintf(token, cap, "%s", fetch_json_text(j->root, "token"));
    return CHORD_OK;
}

static chord_status ask_manifest(const fetch *f, fetch_model *m, fetch_json *j, char *token, size_t cap,
                                 chord_error *err)
{
    char url[FETCH_URL_BYTES], what[FETCH_NAME_BYTES];
    fetch_answer answer;
    snprintf(what, sizeof what, "ollama:%.200s:%.200s", m->name.repo, m->name.tag);
    snprintf(url, sizeof url, "%s/v2/%s/manifests/%s", f->ollama_url, m->name.repo, m->name.tag);
    CHORD_TRY(fetch_text(f, url, NULL, MANIFEST, &j->body, &answer, err));
    if (answer.status == 401) CHORD_TRY(ask_token(f, answer.challenge, j, token, cap, err));
    if (token[0] != '\0') CHORD_TRY(fetch_text(f, url, token, MANIFEST, &j->body, &answer, err));
    if (answer.status != 200) return fetch_fail_status(&answer, what, err);
    return fetch_json_read(j, what, err);
}

/* The manifest is kept as it came when the weights are there. */
static chord_status take_manifest(const fetch *f, fetch_model *m, fetch_json *j, const char *token, chord_error *err)
{
    char store[FETCH_PATH_BYTES];
    uint64_t bytes = 0;
    const char *sum = model_sum(j->root, &bytes);
    if (sum[0] == '\0' || !own_store(f, store))
        return chord_fail(err, CHORD_UNSUPPORTED, "ollama:%.200s:%.100s has no weights as a GGUF file", m->name.repo,
                          m->name.tag);
    CHORD_TRY(make_job(store, sum, bytes, m, err));
    snprintf(m->jobs->url, sizeof m->jobs->url, "%s/v2/%s/blobs/sha256:%s", f->ollama_url, m->name.repo, sum);
    snprintf(m->jobs->token, sizeof m->jobs->token, "%s", token);
    m->manifest = malloc(j->body.len + 1);
    if (m->manifest == NULL) return chord_fail(err, CHORD_NO_MEMORY, "no memory for a manifest");
    memcpy(m->manifest, j->body.data, j->body.len + 1);
    return CHORD_OK;
}

chord_status fetch_ollama_ask(const fetch *f, fetch_model *out, chord_error *err)
{
    char token[sizeof out->jobs->token] = "";
    fetch_json j;
    fetch_json_init(&j, f);
    chord_status status = ask_manifest(f, out, &j, token, sizeof token, err);
    if (status == CHORD_OK) status = take_manifest(f, out, &j, token, err);
    fetch_json_free(&j);
    return status;
}
