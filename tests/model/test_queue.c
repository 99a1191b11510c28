/* Calls of several threads in one pass: each gets the bits it gets alone, the weights are read once, and who is cancelled,
 * fails or is at fault leaves the others as they are. All meet for certain: the pool's turn is held till they have come. */
#include "model/model_inner.h"

#include "check.h"
#include "tiny_model.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define CALLS_MAX 5
#define TOKENS_MAX 40
#define ROW_MAX TINY_VOCABULARY

static chord_heap *heap;
static chord_pool *pool;
static chord_readers *readers;
static chord_error err;
static tiny_model m;

/* ---- a network over bytes in memory, whose reads can be looked at ------------------------------------------------ */

static _Atomic uint64_t bytes_read;
static void (*on_read)(uint64_t offset); /* NULL: nobody looks */
static atomic_bool failing;

static chord_status read_bytes(void *ud, uint64_t offset, void *dst, size_t len)
{
    (void)ud;
    if (on_read != NULL) on_read(offset);
    if (atomic_load(&failing)) return CHORD_IO;
    memcpy(dst, m.b.bytes + offset, len);
    atomic_fetch_add(&bytes_read, len);
    return CHORD_OK;
}

static chord_store *store;
static chord_gguf *gguf;
static chord_network *net;
static chord_sequence *sequences[CALLS_MAX];

/* With policy none each pass reads every tile. */
static void open_network(uint32_t chunk_tokens)
{
    chord_source source = {.read = read_bytes, .size_bytes = m.b.len};
    chord_model_options options = {.context_tokens = 128,
                                   .sessions_max = CALLS_MAX,
                                   .chunk_tokens = chunk_tokens,
                                   .policy = CHORD_POLICY_NONE,
                                   .mode = CHORD_MODE_PAGED};
    CHECK_OK(chord_store_open_callback(heap, &source, &store, &err));
    CHECK_OK(chord_gguf_open(heap, store, &gguf, &err));
    chord_network_config config = {.heap = heap,
                                   .gguf = gguf,
                                   .pool = pool,
                                   .readers = readers,
                                   .options = &options,
                                   .budget_bytes = 64 * CHORD_MIB};
    CHECK_OK(chord_network_open(&config, &net, &err));
    for (int i = 0; i < CALLS_MAX; i++) CHECK_OK(chord_sequence_open(net, &sequences[i], &err));
}

static void close_network(void)
{
    for (int i = 0; i < CALLS_MAX; i++) chord_sequence_close(net, sequences[i]);
    chord_network_close(net);
    chord_gguf_close(gguf);
    chord_store_close(store);
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

typedef struct job {
    chord_sequence *sequence;
    uint32_t count, first_wanted;
    chord_output output;
    int32_t tokens[TOKENS_MAX];
    chord_score scores[TOKENS_MAX];
    float rows[TOKENS_MAX][ROW_MAX];
    uint32_t row_count, width;
    uint64_t progress_done, progress_total;
    bool progress_fell, misplaced;
    chord_status status;
    chord_error err;
    atomic_bool over;
    pthread_t thread, callback_thread;
} job;

static bool keep_row(void *ud, size_t position, const float *row, size_t width)
{
    job *j = ud;
    j->callback_thread = pthread_self();
    j->width = (uint32_t)width;
    j->misplaced = j->misplaced || position != j->first_wanted + j->row_count;
    memcpy(j->rows[j->row_count++], row, width * sizeof *row);
    return true;
}

static void note_progress(void *ud, uint64_t done, uint64_t total)
{
    job *j = ud;
    j->progress_fell = j->progress_fell || done < j->progress_done || done > total; /* the total may change */
    j->progress_done = done;
    j->progress_total = total;
}

static chord_forward_args args_of(job *j, bool one_pass)
{
    j->row_count = 0;
    j->progress_done = j->progress_total = 0;
    return (chord_forward_args){.tokens = j->tokens,
                                .count = j->count,
                                .first_wanted = j->first_wanted,
                                .output = j->output,
                                .on_row = keep_row,
                                .ud = j,
                                .targets = j->tokens + 1,
                                .scores = j->scores,
                                .on_progress = note_progress,
                                .progress_ud = j,
                                .one_pass = one_pass};
}

static void *run(void *ud)
{
    job *j = ud;
    chord_forward_args args = args_of(j, false);
    j->status = chord_network_forward(net, j->sequence, &args, &j->err);
    atomic_store(&j->over, true);
    return NULL;
}

/* All jobs from this thread. done: what each call says of its tokens. */
static void run_from_one_thread(job *jobs, uint32_t count, bool one_pass, uint32_t *done)
{
    chord_forward_args args[CALLS_MAX];
    chord_forward_call calls[CALLS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        args[i] = args_of(&jobs[i], one_pass);
        calls[i] = (chord_forward_call){.sequence = jobs[i].sequence, .args = &args[i]};
        jobs[i].thread = pthread_self();
    }
    CHECK_OK(chord_network_forward_all(net, calls, count, &err));
    for (uint32_t i = 0; i < count; i++) {
        jobs[i].status = calls[i].status;
        jobs[i].err = calls[i].error;
        done[i] = calls[i].done;
    }
}

static uint32_t count_calls(void)
{
    uint32_t n = 0;
    chord_mutex_lock(&net->mutex);
    for (const chord_call *call = net->calls; call != NULL; call = call->next) n++;
    chord_mutex_unlock(&net->mutex);
    return n;
}

static chord_sequence *off_before; /* NULL: nobody is cancelled while all wait */

/* All jobs in one pass, as far as it holds them. */
static void run_together(job *jobs, uint32_t count)
{
    chord_turn turn;
    chord_turns *turns = chord_pool_turns(pool);
    CHECK_OK(chord_turns_enter(turns, &turn, &err));
    CHECK_OK(chord_turns_take(turns, &turn, NULL, &err));
    for (uint32_t i = 0; i < count; i++) {
        atomic_store(&jobs[i].over, false);
        CHECK(pthread_create(&jobs[i].thread, NULL, run, &jobs[i]) == 0);
        while (count_calls() != i + 1) usleep(100);
    }
    if (off_before != NULL) chord_sequence_cancel(net, off_before);
    chord_turns_give(turns, &turn);
    chord_turns_leave(turns, &turn);
    for (uint32_t i = 0; i < count; i++) pthread_join(jobs[i].thread, NULL);
}

static job *make_jobs(uint32_t count)
{
    job *jobs = calloc(count, sizeof *jobs);
    for (uint32_t i = 0; i < count; i++) {
        jobs[i].sequence = sequences[i];
        for (uint32_t t = 0; t < TOKENS_MAX; t++) jobs[i].tokens[t] = (int32_t)((7 * t + 31 * i) % 250);
    }
    return jobs;
}

/* The same calls one after the other. */
static void run_alone(job *jobs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        run(&jobs[i]);
        CHECK_SAY(jobs[i].status == CHORD_OK, "%s", jobs[i].err.text);
    }
}

static void forget(void)
{
    for (int i = 0; i < CALLS_MAX; i++) chord_sequence_cut(net, sequences[i], 0);
}

static void check_same(const job *a, const job *b)
{
    CHECK_SAY(a->status == CHORD_OK, "%s", a->err.text);
    CHECK(a->row_count == b->row_count && a->width == b->width && !a->misplaced && !b->misplaced);
    for (uint32_t r = 0; r < a->row_count; r++) CHECK(memcmp(a->rows[r], b->rows[r], a->width * sizeof(float)) == 0);
    for (uint32_t t = a->first_wanted; t < a->count && a->output == CHORD_OUTPUT_SCORES; t++)
        CHECK(memcmp(&a->scores[t], &b->scores[t], sizeof a->scores[t]) == 0);
    CHECK_SAY(!a->progress_fell && a->progress_done == a->progress_total && a->progress_total != 0, "%d, %llu of %llu",
              a->progress_fell, (unsigned long long)a->progress_done, (unsigned long long)a->progress_total);
}

/* ---- what is checked --------------------------------------------------------------------------------------------- */

/* Prompts of different lengths beside single tokens, rows wanted here and there; then one token each. */
static void check_bits(uint32_t chunk_tokens, bool one_thread)
{
    uint32_t done[CALLS_MAX];
    static const uint32_t COUNTS[CALLS_MAX] = {17, 1, 33, 2, 8}, FIRST[CALLS_MAX] = {16, 0, 20, 0, 8};
    open_network(chunk_tokens);
    job *alone = make_jobs(CALLS_MAX), *together = make_jobs(CALLS_MAX);
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < CALLS_MAX; i++) {
            alone[i].count = together[i].count = round == 0 ? COUNTS[i] : 1;
            alone[i].first_wanted = together[i].first_wanted = round == 0 ? FIRST[i] : 0;
        }
        run_alone(alone, CALLS_MAX);
        for (uint32_t i = 0; i < CALLS_MAX; i++)
            chord_sequence_cut(net, sequences[i], chord_sequence_length(sequences[i]) - alone[i].count);
        if (one_thread) run_from_one_thread(together, CALLS_MAX, false, done);
        else run_together(together, CALLS_MAX);
        for (uint32_t i = 0; i < CALLS_MAX; i++) {
            check_same(&together[i], &alone[i]);
            CHECK(!one_thread || done[i] == together[i].count);
            CHECK(together[i].row_count == 0 || pthread_equal(together[i].callback_thread, together[i].thread));
        }
    }
    free(alone);
    free(together);
    close_network();
}

static void check_outputs(void)
{
    static const chord_output KINDS[CALLS_MAX] = {CHORD_OUTPUT_SCORES, CHORD_OUTPUT_LOGITS, CHORD_OUTPUT_HIDDEN,
                                                  CHORD_OUTPUT_SCORES, CHORD_OUTPUT_HIDDEN};
    open_network(8);
    job *alone = make_jobs(CALLS_MAX), *together = make_jobs(CALLS_MAX);
    for (uint32_t i = 0; i < CALLS_MAX; i++) {
        alone[i].count = together[i].count = 20;
        alone[i].first_wanted = together[i].first_wanted = 3 * i;
        alone[i].output = together[i].output = KINDS[i];
    }
    run_alone(alone, CALLS_MAX);
    forget();
    run_together(together, CALLS_MAX);
    for (uint32_t i = 0; i < CALLS_MAX; i++) check_same(&together[i], &alone[i]);
    CHECK(together[2].width == TINY_EMBEDDING && together[2].row_count == 14);
    free(alone);
    free(together);
    close_network();
}

/* The logits are the output matrix times the hidden state, and the score is the logarithm of the soft-max. */
static void check_meaning(void)
{
    open_network(16);
    job *jobs = make_jobs(3);
    for (uint32_t i = 0; i < 3; i++) {
        memcpy(jobs[i].tokens, jobs[0].tokens, sizeof jobs[0].tokens);
        jobs[i].count = 12;
        jobs[i].output = (chord_output)i; /* logits, scores, hidden */
    }
    run_alone(jobs, 3);
    const chord_tensor *t = net->print.output.tensor;
    float *weights = calloc(t->rows * TINY_EMBEDDING, sizeof *weights);
    for (uint64_t r = 0; r < t->rows; r++)
        chord_format_get(t->type)->dequantize(m.b.bytes + t->offset + r * t->row_bytes, weights + r * TINY_EMBEDDING,
                                              TINY_EMBEDDING);
    for (uint32_t p = 0; p < 12; p++) {
        double sum = 0;
        for (uint64_t r = 0; r < t->rows; r++) {
            double logit = 0;
            for (int k = 0; k < TINY_EMBEDDING; k++)
                logit += (double)weights[r * TINY_EMBEDDING + k] * (double)jobs[2].rows[p][k];
            CHECK_SAY(fabs(logit - (double)jobs[0].rows[p][r]) < 0.02, "%g, %g", logit, (double)jobs[0].rows[p][r]);
            sum += exp((double)jobs[0].rows[p][r]);
        }
        double expected = (double)jobs[0].rows[p][jobs[1].tokens[p + 1]] - log(sum);
        CHECK_SAY(fabs(jobs[1].scores[p].logprob - expected) < 1e-4, "%g, %g", jobs[1].scores[p].logprob, expected);
    }
    free(weights);
    free(jobs);
    close_network();
}

static uint64_t read_by(job *jobs, uint32_t count, bool together)
{
    uint64_t before = atomic_load(&bytes_read);
    if (together) run_together(jobs, count);
    else run_alone(jobs, count);
    return atomic_load(&bytes_read) - before;
}

/* One walk over the weights for all: the bytes of one call, and each session counts the pass as its own. */
static void check_shared_reads(void)
{
    chord_sequence_counts counts;
    open_network(64);
    job *jobs = make_jobs(CALLS_MAX);
    for (uint32_t i = 0; i < CALLS_MAX; i++) {
        memcpy(jobs[i].tokens, jobs[0].tokens, sizeof jobs[0].tokens);
        jobs[i].count = 5;
        jobs[i].first_wanted = 4;
    }
    run_alone(jobs, 1); /* embedding rows are cached now */
    forget();
    uint64_t one = read_by(jobs, 1, false);
    for (int i = 0; i < CALLS_MAX; i++) chord_sequence_stats_reset(net, sequences[i]);
    forget();
    uint64_t all = read_by(jobs, CALLS_MAX, true);
    CHECK_SAY(all == one && one > 0, "%llu bytes, alone %llu", (unsigned long long)all, (unsigned long long)one);
    for (int i = 0; i < CALLS_MAX; i++) {
        chord_sequence_stats(net, sequences[i], &counts);
        CHECK(counts.passes == 1 && counts.pager.bytes_read == one);
    }
    chord_sequence_stats_reset(net, sequences[1]);
    chord_sequence_stats(net, sequences[0], &counts);
    CHECK(counts.passes == 1);
    free(jobs);
    close_network();
}

/* Every call has its share of each pass: none waits for the end of a long prompt. */
static void check_shares(void)
{
    chord_sequence_counts counts;
    open_network(8);
    job *jobs = make_jobs(3);
    jobs[0].count = jobs[1].count = 32;
    jobs[0].first_wanted = 0; /* every row is wanted, and the buffer for logits holds few */
    jobs[1].first_wanted = jobs[1].count;
    jobs[2].count = 1;
    run_together(jobs, 3);
    for (int i = 0; i < 3; i++) CHECK_SAY(jobs[i].status == CHORD_OK, "%s", jobs[i].err.text);
    chord_sequence_stats(net, sequences[2], &counts);
    CHECK(counts.passes == 1);
    chord_sequence_stats(net, sequences[1], &counts);
    CHECK_SAY(counts.passes >= 5 && counts.passes <= 9, "%llu passes", (unsigned long long)counts.passes);
    free(jobs);
    close_network();
}

/* Of one thread's calls each has its own end: a pass is enough, arguments are wrong, a cancel came before. */
static void check_one_pass(void)
{
    uint32_t done[CALLS_MAX];
    open_network(8);
    job *jobs = make_jobs(4);
    for (int i = 0; i < 4; i++) jobs[i].count = 1;
    jobs[0].count = 20;
    jobs[0].first_wanted = 19;
    jobs[2].tokens[0] = -5;
    chord_sequence_cancel(net, sequences[3]);
    uint64_t before = atomic_load(&bytes_read);
    run_from_one_thread(jobs, 4, true, done);
    CHECK_SAY(done[0] == 7 && jobs[0].status == CHORD_OK && jobs[0].row_count == 0, "%u", done[0]);
    CHECK(done[1] == 1 && jobs[1].status == CHORD_OK && jobs[1].row_count == 1);
    CHECK(done[2] == 0 && jobs[2].status == CHORD_INVALID && strstr(jobs[2].err.text, "-5") != NULL);
    CHECK(done[3] == 0 && jobs[3].status == CHORD_CANCELLED);
    CHECK(chord_sequence_length(sequences[0]) == 7 && chord_sequence_length(sequences[3]) == 0);
    uint64_t shared = atomic_load(&bytes_read) - before;
    run_from_one_thread(jobs + 3, 1, true, done); /* the cancel is forgotten; a pass of its own costs as much */
    CHECK(jobs[3].status == CHORD_OK && atomic_load(&bytes_read) - before < 2 * shared + 65536);
    free(jobs);
    close_network();
}

/* ---- who leaves -------------------------------------------------------------------------------------------------- */

static job *watched;
static uint64_t early_offset, late_offset;
static bool returned_in_time;

static void cancel_in_pass(uint64_t offset)
{
    if (offset == early_offset) chord_sequence_cancel(net, watched->sequence);
    if (offset != late_offset) return;
    for (int i = 0; i < 600000 && !atomic_load(&watched->over); i++) usleep(100);
    returned_in_time = atomic_load(&watched->over);
}

/* It is out of the pass, and its call over, before the pass is; the others have their bits. */
static void check_cancel(uint32_t who)
{
    open_network(64);
    job *alone = make_jobs(3), *together = make_jobs(3);
    for (uint32_t i = 0; i < 3; i++) {
        alone[i].count = together[i].count = 6 + i;
        alone[i].first_wanted = together[i].first_wanted = 3;
    }
    run_alone(alone, 3);
    forget();
    early_offset = net->print.layers[0].attn_q.tensor->offset;
    late_offset = net->print.layers[1].ffn_down.tensor->offset;
    watched = &together[who];
    on_read = who != 0 ? cancel_in_pass : NULL; /* the first one leads: it is cancelled before it does */
    off_before = who == 0 ? sequences[0] : NULL;
    run_together(together, 3);
    on_read = NULL;
    off_before = NULL;
    CHECK(who == 0 || returned_in_time);
    for (uint32_t i = 0; i < 3; i++) {
        if (i == who) CHECK(together[i].status == CHORD_CANCELLED && chord_sequence_length(sequences[i]) == 0);
        else check_same(&together[i], &alone[i]);
    }
    run(&together[who]); /* it starts clean */
    check_same(&together[who], &alone[who]);
    free(alone);
    free(together);
    close_network();
}

static void cancel_all(uint64_t offset)
{
    if (offset != early_offset) return;
    chord_sequence_cancel(net, sequences[0]);
    chord_sequence_cancel(net, sequences[1]);
}

static void check_all_cancelled(void)
{
    open_network(64);
    job *jobs = make_jobs(2);
    jobs[0].count = jobs[1].count = 4;
    early_offset = net->print.layers[0].attn_q.tensor->offset;
    on_read = cancel_all;
    run_together(jobs, 2);
    on_read = NULL;
    CHECK(jobs[0].status == CHORD_CANCELLED && jobs[1].status == CHORD_CANCELLED);
    run_together(jobs, 2);
    CHECK(jobs[0].status == CHORD_OK && jobs[1].status == CHORD_OK);
    free(jobs);
    close_network();
}

static void fail_late(uint64_t offset)
{
    if (offset == late_offset) atomic_store(&failing, true);
}

/* A read that fails fails the calls of that pass, and no other's. */
static void check_failed_read(void)
{
    open_network(64);
    job *jobs = make_jobs(3);
    for (uint32_t i = 0; i < 3; i++) jobs[i].count = 4;
    run_alone(jobs, 3);
    forget();
    late_offset = net->print.layers[1].ffn_down.tensor->offset;
    on_read = fail_late;
    run_together(jobs, 2);
    on_read = NULL;
    atomic_store(&failing, false);
    for (uint32_t i = 0; i < 2; i++) {
        CHECK(jobs[i].status == CHORD_IO && jobs[i].err.text[0] != '\0');
        CHECK(chord_sequence_length(sequences[i]) == 0);
    }
    job *again = make_jobs(3);
    for (uint32_t i = 0; i < 3; i++) again[i].count = 4;
    run_together(again, 3);
    CHECK(again[0].status == CHORD_OK && again[1].status == CHORD_OK && again[2].status == CHORD_OK);
    CHECK(memcmp(again[0].rows[3], jobs[0].rows[3], TINY_VOCABULARY * sizeof(float)) == 0);
    free(jobs);
    free(again);
    close_network();
}

#ifdef CHORD_FAULTS
/* Every allocation and read in turn fails once while three calls share passes: each call is right or says why not, and
 * all go on afterwards. */
static void check_faults(void)
{
    open_network(8);
    job *alone = make_jobs(3), *together = make_jobs(3);
    uint64_t walked = 0, failed = 0;
    for (uint32_t i = 0; i < 3; i++) alone[i].count = together[i].count = 10 + i;
    run_alone(alone, 3);
    for (bool fired = true; fired; walked++) {
        forget();
        chord_fault_arm(walked + 1);
        run_together(together, 3);
        fired = chord_fault_fired();
        chord_fault_arm(0);
        for (uint32_t i = 0; i < 3; i++) {
            if (together[i].status == CHORD_OK) check_same(&together[i], &alone[i]);
            else CHECK(fired && together[i].err.text[0] != '\0' && ++failed > 0);
        }
    }
    forget();
    run_together(together, 3);
    for (uint32_t i = 0; i < 3; i++) check_same(&together[i], &alone[i]);
    printf("%llu faults in shared passes, %llu calls failed\n", (unsigned long long)walked, (unsigned long long)failed);
    CHECK(walked > 20 && failed > 0);
    free(alone);
    free(together);
    close_network();
}
#endif

/* The embedding of one token is no number: who uses it hears of it, the others of the same pass do not. */
static void check_one_at_fault(void)
{
    const uint64_t row_bytes = TINY_EMBEDDING / 32 * 34;
    open_network(64);
    const chord_tensor *t = net->print.tables[CHORD_TABLE_TOKENS];
    CHECK(t->row_bytes == row_bytes);
    uint8_t *row = m.b.bytes + t->offset + 77 * row_bytes, saved[2];
    memcpy(saved, row, 2);
    memcpy(row, (uint8_t[]){0x00, 0x7E}, 2); /* the scale is NaN */
    job *alone = make_jobs(3), *together = make_jobs(3);
    for (uint32_t i = 0; i < 3; i++) alone[i].count = together[i].count = 6;
    together[1].tokens[2] = 77;
    run_alone(&alone[0], 1);
    run_alone(&alone[2], 1);
    forget();
    run_together(together, 3);
    CHECK(together[1].status == CHORD_CORRUPT && strstr(together[1].err.text, "finite") != NULL);
    check_same(&together[0], &alone[0]);
    check_same(&together[2], &alone[2]);
    memcpy(row, saved, 2);
    free(alone);
    free(together);
    close_network();
}

static bool call_again(void *ud, size_t position, const float *row, size_t width)
{
    (void)position, (void)row, (void)width;
    job *other = ud;
    run(other);
    return true;
}

/* From a callback no other call can run: it would wait for the rows that it holds. */
static void check_nested(void)
{
    open_network(64);
    job *jobs = make_jobs(2);
    jobs[1].count = 1;
    chord_forward_args args = {.tokens = jobs[0].tokens, .count = 1, .on_row = call_again, .ud = &jobs[1]};
    CHECK_OK(chord_network_forward(net, sequences[0], &args, &err));
    CHECK(jobs[1].status == CHORD_INVALID && strstr(jobs[1].err.text, "callback") != NULL);
    free(jobs);
    close_network();
}

/* Of its own: a token's embedding is no row of it. */
static void add_output(tiny_model *model)
{
    tiny_add(model, "output.weight", TINY_Q8_0, TINY_EMBEDDING, TINY_VOCABULARY);
}

int main(void)
{
    alarm(CHECK_FOREVER_S);
    tiny_build_more(&m, NULL, add_output);
    CHECK_OK(chord_heap_open(128 * CHORD_MIB, &heap, &err));
    CHECK_OK(chord_pool_open(heap, 2, &pool, &err));
    CHECK_OK(chord_readers_open(heap, CHORD_READERS_DEFAULT, &readers, &err));
    for (uint32_t chunk = 1; chunk <= 64; chunk = chunk * 3 + 1) check_bits(chunk, false);
    for (uint32_t chunk = 1; chunk <= 64; chunk = chunk * 3 + 1) check_bits(chunk, true);
    check_outputs();
    check_meaning();
    check_shared_reads();
    check_shares();
    check_one_pass();
    for (uint32_t who = 0; who < 3; who++) check_cancel(who);
    check_all_cancelled();
    check_failed_read();
#ifdef CHORD_FAULTS
    check_faults();
#endif
    check_one_at_fault();
    check_nested();
    chord_readers_close(readers);
    chord_pool_close(pool);
    CHECK(chord_heap_used_bytes(heap) == 0);
    chord_heap_close(heap);
    gb_free(&m.b);
    return check_done();
}
