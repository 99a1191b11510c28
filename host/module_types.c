/* module_types.c - which exports take or give something that is no number? Wasmtime's C interface ends the process when
 * it is asked for the kind of a vector, so that is looked up in the module itself. What is not understood is odd.
 *
 * Source: the WebAssembly core specification 3.0, "Binary Format". */
#define _GNU_SOURCE
#include "scan_inner.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TYPE_FUNCTION = 0x60,
    TYPE_STRUCT = 0x5f,
    TYPE_ARRAY = 0x5e,
    TYPE_SUB = 0x50,
    TYPE_SUB_FINAL = 0x4f,
    TYPE_GROUP = 0x4e
};
enum { SECTION_TYPES = 1, SECTION_IMPORTS = 2, SECTION_FUNCTIONS = 3, SECTION_EXPORTS = 7 };

static const uint8_t *take_bytes(scan *s, uint64_t count)
{
    const uint8_t *at = s->at;
    skip_bytes(s, count);
    return at;
}

/* The section's contents; without it, empty. */
static scan section(scan module, uint32_t wanted)
{
    skip_bytes(&module, 8);
    while (module.at < module.end && !module.lost) {
        uint64_t id = take_number(&module), size = take_number(&module);
        uint8_t *at = module.at;
        skip_bytes(&module, size);
        if (id == wanted && !module.lost) return (scan){.at = at, .end = at + size};
    }
    return (scan){.at = module.end, .end = module.end, .lost = module.lost};
}

/* True: a number. */
static bool take_type(scan *c)
{
    uint64_t code = take_number(c);
    if (code == 0x63 || code == 0x64) (void)take_number(c); /* a reference, and to what */
    return code >= 0x7c && code <= 0x7f;
}

static void skip_limits(scan *c)
{
    uint64_t flags = take_number(c);
    (void)take_number(c);
    if ((flags & 1) != 0) (void)take_number(c);
    if ((flags & 8) != 0) (void)take_number(c);
}

/* The type of an imported function; *left: how many of the wanted index stand behind the imports. */
static uint64_t imported_type(scan module, uint64_t *left)
{
    scan c = section(module, SECTION_IMPORTS);
    uint64_t count = c.at < c.end ? take_number(&c) : 0;
    for (uint64_t i = 0; i < count && !c.lost; i++) {
        skip_bytes(&c, take_number(&c));
        skip_bytes(&c, take_number(&c));
        uint64_t kind = take_number(&c), type = 0;
        if (kind == 0) type = take_number(&c);
        else if (kind == 1) (void)take_type(&c), skip_limits(&c);
        else if (kind == 2) skip_limits(&c);
        else if (kind == 3 || kind == 4) (void)take_type(&c), (void)take_number(&c); /* a tag is two numbers */
        else c.lost = true;
        if (kind == 0 && (*left)-- == 0) return type;
    }
    return c.lost ? UINT64_MAX : 0;
}

static uint64_t type_of_function(scan module, uint64_t index)
{
    uint64_t left = index, type = imported_type(module, &left);
    if (type == UINT64_MAX || left == UINT64_MAX) return type; /* lost, or counted down beyond 0: it is imported */
    scan c = section(module, SECTION_FUNCTIONS);
    uint64_t count = c.at < c.end ? take_number(&c) : 0;
    for (uint64_t i = 0; i < count && !c.lost; i++) {
        type = take_number(&c);
        if (i == left) return c.lost ? UINT64_MAX : type;
    }
    return UINT64_MAX;
}

static void take_field(scan *c)
{
    (void)take_type(c);   /* or a packed one */
    (void)take_number(c); /* mutable? */
}

/* One type definition. True: a function that takes and gives numbers only. */
static bool take_definition(scan *c)
{
    bool good = true;
    uint64_t form = take_number(c);
    if (form == TYPE_SUB || form == TYPE_SUB_FINAL) {
        for (uint64_t n = take_number(c); n > 0 && !c->lost; n--) (void)take_number(c); /* what it is a kind of */
        form = take_number(c);
    }
    if (form == TYPE_ARRAY) take_field(c);
    else if (form == TYPE_STRUCT)
        for (uint64_t n = take_number(c); n > 0 && !c->lost; n--) take_field(c);
    else if (form == TYPE_FUNCTION)
        for (int part = 0; part < 2; part++)
            for (uint64_t n = take_number(c); n > 0 && !c->lost; n--) good = take_type(c) && good;
    else c->lost = true;
    return good && form == TYPE_FUNCTION;
}

static bool is_of_numbers(scan module, uint64_t type)
{
    scan c = section(module, SECTION_TYPES);
    uint64_t count = c.at < c.end ? take_number(&c) : 0, index = 0;
    for (uint64_t i = 0; i < count && !c.lost; i++) {
        uint64_t together = 1; /* a group of types that know each other */
        if (c.at < c.end && *c.at == TYPE_GROUP) skip_bytes(&c, 1), together = take_number(&c);
        for (; together > 0 && !c.lost; together--, index++) {
            bool good = take_definition(&c);
            if (index == type) return good && !c.lost;
        }
    }
    return false;
}

static bool is_odd(scan module, const char *name)
{
    scan c = section(module, SECTION_EXPORTS);
    uint64_t count = c.at < c.end ? take_number(&c) : 0;
    for (uint64_t i = 0; i < count && !c.lost; i++) {
        uint64_t len = take_number(&c);
        const uint8_t *text = take_bytes(&c, len);
        uint64_t kind = take_number(&c), index = take_number(&c);
        bool wanted = name == NULL || (len == strlen(name) && !c.lost && memcmp(text, name, len) == 0);
        if (kind == 0 && wanted && !is_of_numbers(module, type_of_function(module, index))) return true;
    }
    return c.lost;
}

bool host_export_is_odd(const char *path, const char *name)
{
    struct stat s;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return true;
    void *map = fstat(fd, &s) == 0 && s.st_size > 8 ? mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
                                                    : MAP_FAILED;
    close(fd);
    if (map == MAP_FAILED) return true;
    bool odd = is_odd((scan){.at = map, .end = (uint8_t *)map + s.st_size}, name);
    munmap(map, (size_t)s.st_size);
    return odd;
}
