/* guard.c - who may ask: keys; and pages of other sites, which a browser lets ask in its user's name, may not. */
#include "wire/wire.h"

#include <strings.h>

/* Whatever the keys are, and however alike, the same steps are done. */
static bool same_key(const char known[WIRE_KEY_BYTES], const char *given, size_t len)
{
    uint8_t difference = 0;
    char padded[WIRE_KEY_BYTES] = {0};
    memcpy(padded, given, len);
    for (size_t i = 0; i < WIRE_KEY_BYTES; i++) difference |= (uint8_t)(known[i] ^ padded[i]);
    return difference == 0;
}

static bool has_key(const wire_guard *g, const char *given)
{
    bool found = false;
    size_t len = given != NULL ? strlen(given) : 0;
    if (len == 0 || len >= WIRE_KEY_BYTES) return false;
    for (size_t i = 0; i < g->key_count; i++) found |= same_key(g->keys[i], given, len);
    return found;
}

static bool may_by_key(const wire_guard *g, const wire_caller *c)
{
    static const char *const OPEN[] = {"/health", "/v1/health", "/"};
    static const char PAGE[] = "/page/"; /* it is the page that asks for a key */
    for (size_t i = 0; i < CHORD_COUNT(OPEN); i++)
        if (chord_text_equal(c->path, OPEN[i])) return true;
    if (strncmp(c->path, PAGE, sizeof PAGE - 1) == 0) return true;
    if (g->keys == NULL || chord_text_equal(c->method, "OPTIONS")) return true;
    const char *bearer = c->authorization != NULL && strncasecmp(c->authorization, "Bearer ", 7) == 0
                             ? c->authorization + 7
                             : NULL;
    bool by_bearer = has_key(g, bearer), by_header = has_key(g, c->api_key);
    return by_bearer || by_header;
}

/* "localhost:8080", "127.0.0.1", "[::1]:80": a name that no other machine's page can have. */
static bool names_loopback(const char *host, size_t len)
{
    static const char *const NAMES[] = {"localhost", "127.", "[::1]"};
    for (size_t i = 0; i < CHORD_COUNT(NAMES); i++) {
        size_t n = strlen(NAMES[i]);
        if (len < n || strncasecmp(host, NAMES[i], n) != 0) continue;
        const char *rest = host + n, *end = host + len;
        if (i == 1) /* the rest of an address, not of a name such as 127.evil.com */
            while (rest < end && ((*rest >= '0' && *rest <= '9') || *rest == '.')) rest++;
        if (rest == end || *rest == ':') return true;
    }
    return false;
}

/* A page's own origin is where it asks: this server's page. */
static bool is_own(const char *origin, const char *host)
{
    const char *after = strstr(origin, "://");
    return after != NULL && host != NULL && strcasecmp(after + 3, host) == 0;
}

static bool may_by_origin(const wire_guard *g, const wire_caller *c)
{
    if (c->origin == NULL || is_own(c->origin, c->host)) return true;
    const char *after = strstr(c->origin, "://");
    if ((g->loopback || g->local) && after != NULL && names_loopback(after + 3, strlen(after + 3))) return true;
    for (size_t i = 0; i < g->origin_count; i++)
        if (chord_text_equal(g->origins[i], "*") || strcasecmp(g->origins[i], c->origin) == 0) return true;
    return false;
}

wire_verdict wire_guard_ask(const wire_guard *g, const wire_caller *c)
{
    if (g->loopback && c->host != NULL && !names_loopback(c->host, strlen(c->host))) return WIRE_BAD_HOST;
    if (!may_by_origin(g, c)) return WIRE_BAD_ORIGIN;
    return may_by_key(g, c) ? WIRE_MAY : WIRE_BAD_KEY;
}
