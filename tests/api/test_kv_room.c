/* A pool of positions for all sessions: what is reserved is there when it is needed, whatever others do; what is not is refused,
 * now or for ever, with the numbers, and the session goes on. */
#include "check.h"
#include "chord.h"
#include "tiny_model.h"

#include <stdlib.h>
#include <unistd.h>

#define CONTEXT 384u
#define SESSIONS 4u
#define POOL 512u

static tiny_model m;
static chord_error err;
static chord_runtime *runtime;
static chord_model *model;
static chord_session *sessions[SESSIONS];
static int32_t tokens[CONTEXT + 1];

static chord_source source_of_model(void) { return (chord_source){.read = gb_read, .size_bytes = m.b.len, .ud = &m.b}; }

static void open_model(chord_model_options options)
{
    const chord_source source = source_of_model();
    options.context_tokens = CONTEXT;
    options.sessions_max = SESSIONS;
    CHECK_OK(chord_model_open(runtime, &source, &options, &model, &err));
    for (uint32_t i = 0; i < SESSIONS; i++) CHECK_OK(chord_session_open(model, &sessions[i], &err));
}

static void close_model(void)
{
    for (uint32_t i = 0; i < SESSIONS; i++) chord_session_close(sessions[i]);
    chord_model_close(model);
}

/* A text of its own for each number. */
static chord_status sync_text(chord_session *session, uint32_t text, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++) tokens[i] = (int32_t)((i * 5 + text * 17 + i * text) % 300);
    return chord_session_sync(session, tokens, length, NULL, &err);
}

static void check_plan(void)
{
    chord_plan all, pool;
    const chord_source source = source_of_model();
    chord_model_options options = {.context_tokens = CONTEXT, .sessions_max = SESSIONS};
    CHECK_OK(chord_model_plan(runtime, &source, &options, &all, &err));
    options.kv_tokens = POOL;
    CHECK_OK(chord_model_plan(runtime, &source, &options, &pool, &err));
    uint64_t block_bytes = TINY_LAYERS * 2ull * 32 * 64 * 2;
    uint64_t fewer = (SESSIONS * CONTEXT - POOL) / 64 * block_bytes;
    CHECK_SAY(all.kv_bytes - pool.kv_bytes >= fewer && all.kv_bytes - pool.kv_bytes < fewer + fewer / 8,
              "%llu bytes fewer, not %llu", (unsigned long long)(all.kv_bytes - pool.kv_bytes),
              (unsigned long long)fewer);
    CHECK(pool.budget_bytes_min <= all.budget_bytes_min && pool.context_tokens_max >= all.context_tokens_max);
    options.kv_tokens = CONTEXT - 1;
    CHECK(chord_model_plan(runtime, &source, &options, &pool, &err) == CHORD_INVALID);
    CHECK_SAY(strstr(err.text, "383") != NULL && strstr(err.text, "384") != NULL, "%s", err.text);
}

static void check_reserve(void)
{
    bool later = true;
    open_model((chord_model_options){.kv_tokens = POOL});
    CHECK(chord_session_reserve(sessions[0], CONTEXT + 1, &later, &err) == CHORD_FULL && !later);
    CHECK_SAY(strstr(err.text, "385") != NULL && strstr(err.text, "384") != NULL, "%s", err.text);
    CHECK_OK(chord_session_reserve(sessions[0], CONTEXT, &later, &err));
    CHECK(chord_session_reserve(sessions[1], 129, &later, &err) == CHORD_FULL && later);
    CHECK_SAY(strstr(err.text, "3 more blocks") != NULL && strstr(err.text, "8 are free") != NULL &&
                  strstr(err.text, "6 of these are reserved") != NULL,
              "%s", err.text);
    CHECK_OK(chord_session_reserve(sessions[1], 128, &later, &err));
    CHECK(!later);
    CHECK(chord_session_reserve(sessions[2], 1, NULL, &err) == CHORD_FULL);
    CHECK(sync_text(sessions[2], 2, 1) == CHORD_FULL);
    CHECK_SAY(strstr(err.text, "kv_tokens") != NULL && strstr(err.text, "512") != NULL, "%s", err.text);
    CHECK_OK(sync_text(sessions[0], 0, 300));
    CHECK_OK(chord_session_reserve(sessions[0], CONTEXT, &later, &err)); /* a sync ends what was reserved before */
    CHECK_OK(sync_text(sessions[1], 1, 128));
    CHECK(sync_text(sessions[1], 1, 129) == CHORD_FULL);
    CHECK_OK(chord_session_park(sessions[0], &err));
    CHECK_OK(sync_text(sessions[1], 1, 129)); /* it can be used again */
    CHECK_OK(sync_text(sessions[2], 2, 300));
    CHECK(chord_session_reserve(sessions[0], 301, &later, &err) == CHORD_FULL && later);
    chord_session_close(sessions[2]);
    CHECK_OK(chord_session_open(model, &sessions[2], &err));
    CHECK_OK(chord_session_reserve(sessions[0], 301, &later, &err));
    CHECK_OK(chord_session_reserve(sessions[0], 0, &later, &err));
    close_model();
}

/* What is kept for nobody is room, too, and may be owed to somebody: then it is not found. */
static void check_owed(void)
{
    const chord_generate_options options = {.max_tokens = CONTEXT - 1, .ignore_end = true};
    open_model((chord_model_options){.kv_tokens = POOL});
    CHECK_OK(sync_text(sessions[0], 0, 1));
    CHECK_OK(sync_text(sessions[1], 1, 129));
    chord_session_reset(sessions[1]);
    CHECK_OK(chord_session_reserve(sessions[0], CONTEXT, NULL, &err));
    CHECK_OK(sync_text(sessions[2], 2, 128));
    CHECK(sync_text(sessions[3], 1, 129) == CHORD_FULL);
    CHECK_OK(chord_session_generate(sessions[0], &options, NULL, NULL, NULL, &err));
    close_model();
}

/* Who has reserved gets it. Others may hear that there is nothing, and nothing else. */
static void check_promises(void)
{
    uint32_t seed = 3, reserved[SESSIONS] = {0}, kept = 0, refused = 0, length[SESSIONS] = {0};
    open_model((chord_model_options){.kv_tokens = POOL});
    for (uint32_t turn = 0; turn < 400; turn++) {
        seed = seed * 1664525u + 1013904223u;
        uint32_t i = seed / 65536 % SESSIONS, dice = seed / 256 % 100, text = seed / 4096 % 5;
        if (dice < 10) {
            chord_session_reset(sessions[i]);
            reserved[i] = length[i] = 0;
        } else if (dice < 20) {
            CHECK_OK(chord_session_copy(sessions[i], sessions[(i + 1) % SESSIONS], &err));
            length[i] = length[(i + 1) % SESSIONS];
            reserved[i] = 0;
        } else if (dice < 30) {
            CHECK_OK(chord_session_park(sessions[i], &err));
            reserved[i] = 0;
        } else if (dice < 60) {
            uint32_t wanted = 1 + seed / 128 % CONTEXT;
            chord_status status = chord_session_reserve(sessions[i], wanted, NULL, &err);
            CHECK(status == CHORD_OK || status == CHORD_FULL);
            if (status == CHORD_OK) reserved[i] = wanted;
        } else if (reserved[i] > length[i] + 1 && length[i] > 0) {
            uint32_t more = reserved[i] - length[i] - 1;
            chord_generate_options options = {.max_tokens = more, .ignore_end = true};
            CHECK_SAY(chord_session_generate(sessions[i], &options, NULL, NULL, NULL, &err) == CHORD_OK,
                      "turn %u: %u of %u: %s", turn, length[i], reserved[i], err.text);
            length[i] += more;
            kept++;
        } else {
            uint32_t wanted = 1 + seed / 128 % CONTEXT;
            chord_status status = sync_text(sessions[i], text, wanted);
            CHECK_SAY(status == CHORD_OK || status == CHORD_FULL, "%s", err.text);
            length[i] = wanted;
            reserved[i] = 0;
            refused += status == CHORD_FULL;
        }
    }
    CHECK_SAY(kept > 10 && refused > 5, "%u promises were kept, %u refused", kept, refused);
    close_model();
}

int main(void)
{
    const chord_runtime_options options = {.budget_bytes = 256 << 20, .threads = 2};
    alarm(CHECK_FOREVER_S);
    tiny_build(&m);
    CHECK_OK(chord_runtime_open(&options, &runtime, &err));
    check_plan();
    check_reserve();
    check_owed();
    check_promises();
    chord_runtime_close(runtime);
    free(m.b.bytes);
    return check_done();
}
