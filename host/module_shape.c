/* module_shape.c - what a module declares, read from its sections without compiling it: what it exports, and what each
 * instance of it costs beside its linear memory.
 *
 * Source: the WebAssembly core specification 3.0, "Binary Format". */
#include "scan_inner.h"

#define FUNCTION_BYTES 40u /* of an instance, for each function it may name */
#define GLOBAL_BYTES 16u
#define ELEMENT_BYTES 8u

static bool take_named(scan *s, const char *text)
{
    uint64_t bytes = take_number(s);
    const uint8_t *name = s->at;
    skip_bytes(s, bytes);
    return !s->lost && bytes == strlen(text) && memcmp(name, text, bytes) == 0;
}

/* Of things that take a byte each at least. */
static uint64_t take_count(scan *s)
{
    uint64_t count = take_number(s);
    if (count > (uint64_t)(s->end - s->at)) s->lost = true;
    return s->lost ? 0 : count;
}

static void skip_limits(scan *s, uint64_t *least, uint64_t *most)
{
    uint8_t flags = take_byte(s);
    *least = take_number(s);
    *most = (flags & 1) != 0 ? take_number(s) : UINT64_MAX;
    if ((flags & 8) != 0) skip_numbers(s, 1); /* the size of a page */
}

/* In an import, after its names: of a function, a table, a memory, a global, a tag. */
static void skip_import_type(scan *s)
{
    uint64_t least, most;
    switch (take_byte(s)) {
    case 0: skip_numbers(s, 1); break;
    case 1:
        skip_type(s);
        skip_limits(s, &least, &most);
        break;
    case 2: skip_limits(s, &least, &most); break;
    case 3:
        skip_type(s);
        skip_bytes(s, 1);
        break;
    case 4: skip_numbers(s, 2); break;
    default: s->lost = true;
    }
}

static void look_at_imports(scan *s, module_shape *out)
{
    for (uint64_t count = take_number(s); count > 0 && !s->lost; count--) {
        (void)take_named(s, "");
        if (take_named(s, "thread_start")) out->starts_threads = true;
        if (s->at < s->end && *s->at == 0) out->functions++;
        skip_import_type(s);
    }
}

static void look_at_tables(scan *s, module_shape *out)
{
    for (uint64_t count = take_number(s); count > 0 && !s->lost; count--) {
        uint64_t least, most;
        if (s->at < s->end && *s->at == 0x40) s->lost = true; /* its elements begin as an expression says */
        skip_type(s);
        skip_limits(s, &least, &most);
        if (out->table_count < MODULE_TABLES_MAX)
            out->tables[out->table_count++] = (module_table){.least = least, .most = most};
    }
}

static void look_at_exports(scan *s, module_shape *out)
{
    for (uint64_t count = take_number(s); count > 0 && !s->lost; count--) {
        scan name = *s;
        if (take_named(s, "guest_version")) out->info.is_chord_guest = true;
        if (take_named(&name, "_start")) out->info.is_command = true;
        skip_bytes(s, 1);
        skip_numbers(s, 1);
    }
}

bool host_section_head(uint8_t *bytes, size_t len, uint8_t *id, uint64_t *section_bytes, size_t *head_bytes)
{
    scan s = {.at = bytes, .end = bytes + len};
    *id = take_byte(&s);
    *section_bytes = take_number(&s);
    *head_bytes = (size_t)(s.at - bytes);
    return !s.lost;
}

chord_status host_look_at_module(uint8_t *wasm, size_t len, const char *path, module_shape *out, chord_error *err)
{
    scan s = {.at = wasm + 8, .end = wasm + len};
    *out = (module_shape){0};
    while (s.at < s.end && !s.lost) {
        uint8_t id = take_byte(&s);
        uint64_t bytes = take_number(&s);
        scan section = {.at = s.at};
        skip_bytes(&s, bytes);
        section.end = s.at;
        if (id == 2) look_at_imports(&section, out);
        if (id == 3) out->functions += take_count(&section);
        if (id == 4) look_at_tables(&section, out);
        if (id == 6) out->globals = take_count(&section);
        if (id == 7) look_at_exports(&section, out);
        s.lost = s.lost || section.lost;
    }
    if (s.lost) return chord_fail(err, CHORD_CORRUPT, "%s: a section of the module is cut off or not known", path);
    return CHORD_OK;
}

/* Tables grow asking nobody but the store's limit, which holds for each by itself: what all may grow to is counted
 * before. Those without a maximum share a sixteenth part of the budget. */
uint64_t host_table_elements_max(const module_shape *shape, uint64_t budget_bytes)
{
    uint64_t most = budget_bytes / 16 / ELEMENT_BYTES / chord_max_u64(shape->table_count, 1);
    for (uint32_t i = 0; i < shape->table_count; i++) most = chord_max_u64(most, shape->tables[i].least);
    return chord_min_u64(most, MODULE_ELEMENTS_MAX);
}

uint64_t host_instance_bytes(const module_shape *shape, uint64_t elements_max)
{
    uint64_t bytes = shape->functions * FUNCTION_BYTES + shape->globals * GLOBAL_BYTES;
    for (uint32_t i = 0; i < shape->table_count; i++)
        bytes += chord_min_u64(shape->tables[i].most, elements_max) * ELEMENT_BYTES;
    return bytes;
}
