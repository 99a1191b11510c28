/* sum.c - SHA-256. */
#include "sum.h"

chord_status fetch_sum_start(fetch_sum *s, const fetch *f, chord_error *err)
{
    const fetch_library *l = &f->library;
    s->library = l;
    if (s->context == NULL) s->context = l->EVP_MD_CTX_new();
    if (s->context != NULL && l->EVP_DigestInit_ex(s->context, l->EVP_sha256(), NULL) == 1) return CHORD_OK;
    return chord_fail(err, CHORD_NO_MEMORY, "libcrypto has no SHA-256");
}

void fetch_sum_add(fetch_sum *s, const void *bytes, size_t len)
{
    (void)s->library->EVP_DigestUpdate(s->context, bytes, len);
}

void fetch_sum_end(fetch_sum *s, char hex[65])
{
    unsigned char digest[64];
    unsigned len = 0;
    (void)s->library->EVP_DigestFinal_ex(s->context, digest, &len);
    for (unsigned i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

void fetch_sum_close(fetch_sum *s)
{
    if (s->context != NULL) s->library->EVP_MD_CTX_free(s->context);
    *s = (fetch_sum){0};
}
