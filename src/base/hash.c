/* hash.c - xxHash64, after its specification (doc/xxhash_spec.md in https://github.com/Cyan4973/xxHash), and the hash of
 * names. */
#include "base/base.h"

#define PRIME_1 0x9E3779B185EBCA87ull
#define PRIME_2 0xC2B2AE3D27D4EB4Full
#define PRIME_3 0x165667B19E3779F9ull
#define PRIME_4 0x85EBCA77C2B2AE63ull
#define PRIME_5 0x27D4EB2F165667C5ull

static inline uint64_t rotate(uint64_t x, int bits) { return x << bits | x >> (64 - bits); }
static inline uint64_t mix_lane(uint64_t lane, uint64_t input) { return rotate(lane + input * PRIME_2, 31) * PRIME_1; }
static inline uint64_t merge_lane(uint64_t sum, uint64_t lane) { return (sum ^ mix_lane(0, lane)) * PRIME_1 + PRIME_4; }

void chord_hash_start(chord_hash *hash) { *hash = (chord_hash){.lane = {PRIME_1 + PRIME_2, PRIME_2, 0, 0 - PRIME_1}}; }

static void mix_stripe(chord_hash *hash, const uint8_t *stripe)
{
    for (size_t i = 0; i < 4; i++) hash->lane[i] = mix_lane(hash->lane[i], chord_load_u64(stripe + 8 * i));
}

void chord_hash_add(chord_hash *hash, const void *data, size_t len)
{
    const uint8_t *p = data;
    if (len == 0) return;
    hash->total_bytes += len;
    if (hash->rest_bytes > 0) {
        size_t take = sizeof hash->rest - hash->rest_bytes;
        if (take > len) take = len;
        memcpy(hash->rest + hash->rest_bytes, p, take);
        hash->rest_bytes += (uint32_t)take;
        p += take;
        len -= take;
        if (hash->rest_bytes < sizeof hash->rest) return;
        mix_stripe(hash, hash->rest);
        hash->rest_bytes = 0;
    }
    for (; len >= 32; p += 32, len -= 32) mix_stripe(hash, p);
    memcpy(hash->rest, p, len);
    hash->rest_bytes = (uint32_t)len;
}

uint64_t chord_hash_end(const chord_hash *hash)
{
    const uint64_t *lane = hash->lane;
    uint64_t sum = PRIME_5;
    if (hash->total_bytes >= 32) {
        sum = rotate(lane[0], 1) + rotate(lane[1], 7) + rotate(lane[2], 12) + rotate(lane[3], 18);
        for (size_t i = 0; i < 4; i++) sum = merge_lane(sum, lane[i]);
    }
    sum += hash->total_bytes;
    const uint8_t *p = hash->rest, *end = p + hash->rest_bytes;
    for (; end - p >= 8; p += 8) sum = rotate(sum ^ mix_lane(0, chord_load_u64(p)), 27) * PRIME_1 + PRIME_4;
    if (end - p >= 4) {
        sum = rotate(sum ^ chord_load_u32(p) * PRIME_1, 23) * PRIME_2 + PRIME_3;
        p += 4;
    }
    for (; p < end; p++) sum = rotate(sum ^ *p * PRIME_5, 11) * PRIME_1;
    sum = (sum ^ sum >> 33) * PRIME_2;
    sum = (sum ^ sum >> 29) * PRIME_3;
    return sum ^ sum >> 32;
}

uint64_t chord_hash_of(const void *data, size_t len)
{
    chord_hash hash;
    chord_hash_start(&hash);
    chord_hash_add(&hash, data, len);
    return chord_hash_end(&hash);
}

uint64_t chord_name_sum(uint64_t secret, const void *data, size_t len)
{
    const uint8_t *p = data;
    uint64_t sum = 0;
    for (size_t i = 0; i < len; i++) sum = chord_name_add(sum, p[i], secret);
    return sum;
}

uint64_t chord_name_hash(const chord_heap *heap, const void *data, size_t len)
{
    return chord_name_end(chord_name_sum(chord_heap_secret(heap), data, len));
}
