/* Names of models, tags, parts and origins; a part's bits. */
#include "check.h"
#include "names.h"
#include "part.h"

#include <stdlib.h>
#include <unistd.h>

static bool reads(const char *source, fetch_name *n)
{
    chord_error err;
    return fetch_name_read(source, n, &err) == CHORD_OK;
}

static void test_names(void)
{
    fetch_name n;
    CHECK(fetch_is_remote("hf:a/b") && fetch_is_remote("HTTPS://x/y") && fetch_is_remote("ollama:x"));
    CHECK(!fetch_is_remote("model.gguf") && !fetch_is_remote("file:///x") && !fetch_is_remote("hf/a") &&
          !fetch_is_remote(NULL));
    CHECK(reads("hf:a/b:Q4_K_M", &n) && n.kind == FETCH_HUB && strcmp(n.repo, "a/b") == 0 &&
          strcmp(n.tag, "Q4_K_M") == 0);
    CHECK(reads("hf:a/b/c/d.gguf", &n) && strcmp(n.repo, "a/b") == 0 && strcmp(n.file, "c/d.gguf") == 0);
    CHECK(reads("ollama:m", &n) && strcmp(n.repo, "library/m") == 0 && strcmp(n.tag, "latest") == 0);
    CHECK(reads("ollama:me/m:q8", &n) && strcmp(n.repo, "me/m") == 0 && strcmp(n.tag, "q8") == 0);
    CHECK(reads("https://h:1/a/b%20c.gguf?x=/y.gguf#z", &n) && strcmp(n.file, "b_c.gguf") == 0);
    CHECK(strcmp(n.url, "https://h:1/a/b%20c.gguf?x=/y.gguf") == 0);
    CHECK(reads("https://h/%2e%2e%2fx", &n) && strchr(n.file, '/') == NULL && n.file[0] != '.');
    CHECK(reads("https://h/", &n) && strcmp(n.file, "model.gguf") == 0);
    CHECK(!reads("hf:a", &n) && !reads("hf:a/b:", &n) && !reads("hf:a/b/../c", &n) && !reads("hf:/a/b", &n) &&
          !reads("hf:a/.b", &n));
    CHECK(!reads("https://u:p@h/x", &n) && !reads("https:///x", &n) && !reads("https://h/a b", &n) &&
          !reads("ollama:a/b/c", &n));
}

static void test_tags(void)
{
    CHECK(fetch_has_tag("m-Q4_K_M.gguf", "q4_k_m") && fetch_has_tag("x/m.Q8_0-00001-of-00002.gguf", "Q8_0"));
    CHECK(!fetch_has_tag("m-IQ4_XS.gguf", "Q4_XS") && !fetch_has_tag("m-Q4_K_M.gguf", "Q4_K") &&
          !fetch_has_tag("Q8_0/m.gguf", "Q8_0"));
    CHECK(fetch_is_model("a/m.GGUF") && !fetch_is_model("m.bin") && !fetch_is_model("x-mmproj-f16.gguf"));
    CHECK(!fetch_is_model("m.imatrix.gguf") && !fetch_is_model("a/mtp-m.gguf") && !fetch_is_model("EAGLE3-m.gguf"));
}

static void test_parts(void)
{
    size_t stem;
    uint32_t part, parts;
    char name[64];
    CHECK(fetch_split("m-00002-of-00010.gguf", &stem, &part, &parts) && part == 2 && parts == 10);
    fetch_split_name("m-00002-of-00010.gguf", 7, name, sizeof name);
    CHECK(strcmp(name, "m-00007-of-00010.gguf") == 0);
    CHECK(!fetch_split("m-00011-of-00010.gguf", &stem, &part, &parts) &&
          !fetch_split("m-00000-of-00010.gguf", &stem, &part, &parts));
    CHECK(!fetch_split("-00001-of-00002.gguf", &stem, &part, &parts) && !fetch_split("m.gguf", &stem, &part, &parts));
}

static void test_origins(void)
{
    CHECK(fetch_same_origin("https://h:1/a", "https://H:1/b?c") && !fetch_same_origin("https://h/a", "http://h/a"));
    CHECK(!fetch_same_origin("https://h/a", "https://h.evil/a") &&
          !fetch_same_origin("https://h:1/a", "https://h:2/a"));
    CHECK(fetch_is_loopback("http://127.0.0.1:80/") && fetch_is_loopback("http://localhost/x") &&
          fetch_is_loopback("http://[::1]:8/x"));
    CHECK(!fetch_is_loopback("http://127.0.0.1.evil.org/") && !fetch_is_loopback("http://localhost.evil/") &&
          !fetch_is_loopback("http://10.0.0.1/"));
}

static chord_status open_part(fetch_part *p, const char *path, const char *identity)
{
    chord_error err;
    return fetch_part_open(p, path, 3 * (uint64_t)FETCH_BLOCK_BYTES + 5, identity, false, &err);
}

static void test_part(void)
{
    char folder[] = "/tmp/chord-part-XXXXXX", path[64];
    fetch_part p;
    chord_error err;
    uint64_t have, all;
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/file", folder);
    CHECK(open_part(&p, path, "one") == CHORD_OK && p.blocks == 4 && fetch_part_block_bytes(&p, 3) == 5);
    CHECK(fetch_part_write(&p, 3 * (uint64_t)FETCH_BLOCK_BYTES, "hello", 5, &err) == CHORD_OK);
    fetch_part_mark(&p, 3);
    fetch_part_close(&p);
    CHECK(fetch_part_peek(path, &have, &all) && all == 3 * (uint64_t)FETCH_BLOCK_BYTES + 5 &&
          have == FETCH_BLOCK_BYTES);
    CHECK(open_part(&p, path, "one") == CHORD_OK && fetch_part_has(&p, 3) && !fetch_part_has(&p, 0));
    fetch_part_close(&p);
    CHECK(open_part(&p, path, "another") == CHORD_OK && !fetch_part_has(&p, 3));
    fetch_part_drop(&p);
    fetch_part_close(&p);
    CHECK(!fetch_part_peek(path, &have, &all) && rmdir(folder) == 0);
}

int main(void)
{
    test_names();
    test_tags();
    test_parts();
    test_origins();
    test_part();
    return check_done();
}
