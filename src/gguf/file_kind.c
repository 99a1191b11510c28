/* file_kind.c - what a file is that does not begin as a GGUF file of ours, for the sentence that refuses it. */
#include "gguf/gguf_inner.h"

static const struct {
    const char *begins;
    uint32_t len;
    const char *what;
} KINDS[] = {
    {"version https://git-lfs", 23, "a Git LFS pointer, not the file itself (`git lfs pull` fetches it)"},
    {"<!", 2, "a web page (HTML), not a model: the download was answered with it"},
    {"<html", 5, "a web page (HTML), not a model: the download was answered with it"},
    {"<HTML", 5, "a web page (HTML), not a model: the download was answered with it"},
    {"<?xml", 5, "an XML document, not a model: the download was answered with it"},
    {"{", 1, "a JSON text, not a model"},
    {"PK\3\4", 4, "a zip archive (a PyTorch checkpoint is one); convert or unpack it"},
    {"\x1f\x8b", 2, "compressed with gzip; unpack it"},
    {"\x28\xb5\x2f\xfd", 4, "compressed with zstd; unpack it"},
    {"\xfd"
     "7zXZ",
     5, "compressed with xz; unpack it"},
    {"BZh", 3, "compressed with bzip2; unpack it"},
    {"7z\xbc\xaf", 4, "a 7-Zip archive; unpack it"},
    {"\x80\2", 2, "a Python pickle (a PyTorch checkpoint is one); convert it to GGUF"},
    {"lmgg", 4, "a GGML file from before GGUF; convert it"},
    {"tjgg", 4, "a GGML (ggjt) file from before GGUF; convert it"},
    {"fmgg", 4, "a GGML (ggmf) file from before GGUF; convert it"},
    {"algg", 4, "a LoRA adapter from before GGUF (ggla); convert it"},
    {"\0\0\0\0\0\0\0\0", 8, "all zeros where it should begin: an unfinished download"},
};

/* A safetensors file: the length of a JSON header in 8 bytes, and the header. */
static bool is_safetensors(const uint8_t *p, size_t len, uint64_t size_bytes)
{
    return len >= 10 && p[8] == '{' && (p[9] == '"' || p[9] == ' ' || p[9] == '}') &&
           chord_load_u64(p) <= size_bytes - 8;
}

chord_status chord_gguf_refuse_kind(const uint8_t *p, size_t len, const chord_store *store, chord_error *err)
{
    if (store->size_bytes == 0) return chord_fail(err, CHORD_CORRUPT, "%s: the file is empty", store->name);
    if (is_safetensors(p, len, store->size_bytes))
        return chord_fail(err, CHORD_UNSUPPORTED, "%s: not a GGUF file but safetensors; convert it to GGUF",
                          store->name);
    for (size_t i = 0; i < CHORD_COUNT(KINDS); i++)
        if (len >= KINDS[i].len && memcmp(p, KINDS[i].begins, KINDS[i].len) == 0)
            return chord_fail(err, CHORD_CORRUPT, "%s: not a GGUF file but %s", store->name, KINDS[i].what);
    if (store->size_bytes < 24)
        return chord_fail(err, CHORD_CORRUPT, "%s: %" PRIu64 " bytes are too few for a GGUF file", store->name,
                          store->size_bytes);
    return chord_fail(err, CHORD_CORRUPT, "%s: not a GGUF file (it starts with %02x %02x %02x %02x)", store->name, p[0],
                      p[1], p[2], p[3]);
}
