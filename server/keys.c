/* keys.c - who may ask. */
#include "keys.h"

#include <errno.h>
#include <stdlib.h>

#define LINE_BYTES 1024

/* Without spaces around; empty lines and those that begin with # are none. */
static char *trim(char *line)
{
    static const char SPACES[] = " \t\r\n";
    char *begin = line + strspn(line, SPACES);
    size_t n = strlen(begin);
    while (n > 0 && strchr(SPACES, begin[n - 1]) != NULL) begin[--n] = '\0';
    return begin;
}

static int add(wire_guard *guard, const char *path, uint32_t number, const char *key)
{
    if (strlen(key) >= WIRE_KEY_BYTES)
        return cli_fail("%s line %u: a key may have %d bytes", path, number, WIRE_KEY_BYTES - 1);
    guard->keys = cli_alloc(guard->keys, (guard->key_count + 1) * sizeof *guard->keys);
    char *to = guard->keys[guard->key_count++];
    memset(to, 0, WIRE_KEY_BYTES);
    memcpy(to, key, strlen(key));
    return CLI_OK;
}

int server_read_keys(const char *path, wire_guard *guard)
{
    char line[LINE_BYTES];
    int code = CLI_OK;
    FILE *file = fopen(path, "r");
    if (file == NULL) return cli_fail("--api-key-file %s: %s", path, strerror(errno));
    for (uint32_t number = 1; code == CLI_OK && fgets(line, sizeof line, file) != NULL; number++) {
        const char *key = trim(line);
        if (key[0] != '\0' && key[0] != '#') code = add(guard, path, number, key);
    }
    fclose(file);
    if (code == CLI_OK && guard->key_count == 0) return cli_fail("--api-key-file %s has no key", path);
    return code;
}
