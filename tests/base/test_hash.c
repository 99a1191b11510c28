/* Known values of XXH64, seed 0 (made with the python package xxhash), and the streaming form against the whole. */
#include "base/base.h"

#include "check.h"

int main(void)
{
    static const struct {
        const char *text;
        uint64_t hash;
    } known[] = {
        {"", 0xEF46DB3751D8E999u},
        {"a", 0xD24EC4F1A98C6E5Bu},
        {"abc", 0x44BC2CF5AD770999u},
        {"message digest", 0x066ED728FCEEB3BEu},
        {"abcdefghijklmnopqrstuvwxyz", 0xCFE1F278FA89835Cu},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 0xAAA46907D3047814u},
        {"12345678901234567890123456789012345678901234567890123456789012345678901234567890", 0xE04A477F19EE145Du},
    };
    for (size_t i = 0; i < CHORD_COUNT(known); i++) {
        uint64_t hash = chord_hash_of(known[i].text, strlen(known[i].text));
        CHECK_SAY(hash == known[i].hash, "'%s': %" PRIx64, known[i].text, hash);
    }
    uint8_t bytes[300];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 151 + 7);
    for (size_t len = 0; len <= sizeof bytes; len++)
        for (size_t step = 1; step < 40; step += 6) {
            chord_hash hash;
            chord_hash_start(&hash);
            for (size_t at = 0; at < len; at += step)
                chord_hash_add(&hash, bytes + at, len - at < step ? len - at : step);
            CHECK(chord_hash_end(&hash) == chord_hash_of(bytes, len));
        }
    return check_done();
}
