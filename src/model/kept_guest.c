/* kept_guest.c - freestanding guests keep nothing of what no session has: they are small, and have few sessions (kept_libc.c is
 * how it is elsewhere). */
#include "model/model_inner.h"

uint32_t chord_kept_count(const chord_blueprint *p, const chord_kv_needs *needs)
{
    (void)p, (void)needs;
    return 0;
}

uint64_t chord_kept_bytes(const chord_blueprint *p, const chord_kv_needs *needs)
{
    (void)p, (void)needs;
    return 0;
}

void chord_kept_open(chord_network *net, const chord_kv_needs *needs, uint8_t *memory)
{
    (void)net, (void)needs, (void)memory;
}

bool chord_network_keeps(const chord_network *net)
{
    (void)net;
    return false;
}

void chord_kept_record(chord_network *net, chord_sequence *s, const int32_t *tokens, uint32_t count)
{
    (void)net, (void)s, (void)tokens, (void)count;
}

void chord_kept_note(chord_network *net, chord_sequence *s) { (void)net, (void)s; }

void chord_kept_cut(chord_network *net, chord_sequence *s, uint32_t length) { (void)net, (void)s, (void)length; }

void chord_kept_copy(chord_network *net, chord_sequence *to, const chord_sequence *from, uint32_t length)
{
    (void)net, (void)to, (void)from, (void)length;
}

bool chord_kept_release(chord_network *net, uint32_t k)
{
    (void)net, (void)k;
    return false;
}

void chord_kept_forget(chord_network *net, uint32_t k, const uint8_t *block) { (void)net, (void)k, (void)block; }

uint32_t chord_sequence_seek(chord_network *net, chord_sequence *s, const int32_t *tokens, uint32_t limit)
{
    (void)net, (void)tokens, (void)limit;
    return s->length;
}

bool chord_sequence_salt(chord_network *net, chord_sequence *s, uint64_t salt)
{
    (void)net, (void)s, (void)salt;
    return false;
}
