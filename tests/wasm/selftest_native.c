/* selftest_native [MODEL PROMPT_TOKENS MAX_TOKENS]: prints what test_wasm.mjs expects of the modules, one `hash name` a line. With a
 * model: the tokens and the logits hash of guest.c's generation, compiled natively. */
#include "guest.h"
#include "selftest.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int32_t chord_import_read(uint64_t offset, void *to, size_t length); /* the host's side of guest.c */

static int model;

int32_t chord_import_read(uint64_t offset, void *to, size_t length) /* from any thread */
{
    return pread(model, to, length, (off_t)offset) != (ssize_t)length;
}

static int generate(const char *path, uint32_t prompt_tokens, uint32_t max_tokens)
{
    struct stat file;
    model = open(path, O_RDONLY);
    if (model < 0 || fstat(model, &file) != 0) {
        fprintf(stderr, "cannot open %s\n", path);
        return 1;
    }
    int32_t status = guest_open((uint64_t)file.st_size, 0, prompt_tokens + max_tokens);
    for (uint32_t i = 0; i < prompt_tokens; i++) guest_tokens()[i] = (int32_t)(i * 7 % 250);
    if (status == CHORD_OK) status = guest_generate(prompt_tokens, max_tokens);
    if (status != CHORD_OK) {
        fprintf(stderr, "%s\n", guest_error());
        return 1;
    }
    printf("%016" PRIx64 " forward pass", guest_logits_hash());
    for (uint32_t i = prompt_tokens; i < guest_token_count(); i++) printf(" %d", guest_tokens()[i]);
    putchar('\n');
    guest_close();
    close(model);
    return 0;
}

int main(int argc, char **argv)
{
    for (uint32_t i = 0; selftest_name(i) != NULL; i++) {
        uint64_t hash = selftest_hash(i, 0);
        printf("%016" PRIx64 " %s\n", hash, selftest_name(i));
        if (hash == 0 || hash != selftest_hash(i, 1)) {
            fprintf(stderr, "%s: the fast kernels differ from the reference\n", selftest_name(i));
            return 1;
        }
    }
    return argc == 4 ? generate(argv[1], (uint32_t)atoi(argv[2]), (uint32_t)atoi(argv[3])) : 0;
}
