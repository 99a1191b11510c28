/* kv_folder_wasm.c - in WebAssembly nothing is kept in files: kv_folder_posix.c says how it is elsewhere. */
#include "model/model_inner.h"

chord_status chord_network_keep_in(chord_network *net, const chord_model_options *options, uint64_t digest,
                                   chord_error *err)
{
    (void)net, (void)digest;
    return chord_fail(err, CHORD_UNSUPPORTED, "keeping evaluated texts in %s (kv_dir) is left out in WebAssembly",
                      options->kv_dir);
}

void chord_network_finish_folder(chord_network *net) { (void)net; }

bool chord_network_folder_warning(chord_network *net, char *out, size_t cap)
{
    (void)net, (void)out, (void)cap;
    return false;
}

uint64_t chord_kv_folder_bytes(const chord_blueprint *p, const chord_kv_needs *needs)
{
    (void)p, (void)needs;
    return 0;
}

void chord_kv_folder_close(chord_network *net) { (void)net; }

uint32_t chord_kv_folder_reach(chord_network *net, uint64_t salt, const int32_t *tokens, uint32_t blocks,
                               uint32_t known, uint32_t least)
{
    (void)net, (void)salt, (void)tokens, (void)blocks, (void)known, (void)least;
    return 0;
}

bool chord_kv_folder_read(chord_network *net, uint64_t above, const int32_t *tokens, uint32_t index, uint8_t *const *to)
{
    (void)net, (void)above, (void)tokens, (void)index, (void)to;
    return false;
}
