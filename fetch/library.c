/* library.c - the two libraries, by name. */
#include "library.h"

#include "base/base.h"

#include <dlfcn.h>

/* dlsym gives an object pointer; POSIX says that it may be a function's. */
static bool find(void *library, const char *name, void *member)
{
    void *found = dlsym(library, name);
    memcpy(member, &found, sizeof found);
    return found != NULL;
}

static void *open_one_of(const char *const *names)
{
    for (; *names != NULL; names++) {
        void *library = dlopen(*names, RTLD_NOW | RTLD_LOCAL);
        if (library != NULL) return library;
    }
    return NULL;
}

static chord_status too_old(chord_error *err, const char *library, const char *name)
{
    return chord_fail(err, CHORD_UNSUPPORTED,
                      "%s of this system has no %s: it is too old (curl 7.68 and OpenSSL 1.1 are new enough)", library,
                      name);
}

chord_status fetch_library_open(fetch_library *l, chord_error *err)
{
    static const char *const CURL[] = {"libcurl.so.4", "libcurl-gnutls.so.4", NULL};
    static const char *const CRYPTO[] = {"libcrypto.so.3", "libcrypto.so.1.1", NULL};
    if (l->opened) return CHORD_OK;
    void *curl = open_one_of(CURL), *crypto = open_one_of(CRYPTO);
    if (curl == NULL || crypto == NULL)
        return chord_fail(err, CHORD_UNSUPPORTED,
                          "models from elsewhere need %s, which is not installed (Debian and Ubuntu: apt install %s)",
                          curl == NULL ? CURL[0] : CRYPTO[0], curl == NULL ? "libcurl4" : "libssl3");
#define FETCH_FIND(result, name, parameters) \
    if (!find(curl, "curl_" #name, &l->name)) return too_old(err, "libcurl", "curl_" #name);
    FETCH_CURL_MAP(FETCH_FIND)
#undef FETCH_FIND
#define FETCH_FIND(result, name, parameters) \
    if (!find(crypto, #name, &l->name)) return too_old(err, "libcrypto", #name);
    FETCH_CRYPTO_MAP(FETCH_FIND)
#undef FETCH_FIND
    if (l->global_init(FETCH_CURL_GLOBAL_ALL) != FETCH_CURL_OK)
        return chord_fail(err, CHORD_UNSUPPORTED, "libcurl does not start");
    l->opened = true;
    return CHORD_OK;
}
