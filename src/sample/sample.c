/* sample.c - the chain from logits to a token.
 *
 * Candidates lie in one array. The best come in order at its front, and only as many as somebody asks for: a
 * vocabulary of a quarter million is sorted as a whole only where the distribution is so flat that it must be. */
#include "sample/sample_inner.h"

typedef struct candidate {
    float logit;
    int32_t token;
} candidate;

typedef struct chain {
    candidate *all;
    uint32_t count;
    uint32_t ordered; /* so many at the front are the best, in order */
    bool by_surprise; /* the order is nearness of logit to centre; else the higher logit first */
    double centre;
    float best; /* the highest logit */
} chain;

/* ---- order ------------------------------------------------------------------------------------- */

static inline double distance(double a, double b) { return a < b ? b - a : a - b; }

static inline bool before(const chain *c, candidate a, candidate b)
{
    if (c->by_surprise) {
        double da = distance(a.logit, c->centre), db = distance(b.logit, c->centre);
        if (da < db || da > db) return da < db;
    }
    if (a.logit > b.logit || a.logit < b.logit) return a.logit > b.logit;
    return a.token < b.token;
}

/* Let heap[at] sink in a heap whose root is the last in order. */
static void sink(const chain *c, candidate *heap, uint32_t count, uint32_t at)
{
    candidate moving = heap[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= count) break;
        if (child + 1 < count && before(c, heap[child], heap[child + 1])) child++;
        if (!before(c, moving, heap[child])) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moving;
}

/* Bring the best `more` of those not yet in order to the end of the ordered ones. */
static void order_more(chain *c, uint32_t more)
{
    candidate *heap = c->all + c->ordered;
    uint32_t left = c->count - c->ordered;
    if (more > left) more = left;
    if (more == 0) return;
    for (uint32_t i = more / 2; i-- > 0;) sink(c, heap, more, i);
    for (uint32_t i = more; i < left; i++) {
        if (!before(c, heap[i], heap[0])) continue;
        candidate out = heap[0];
        heap[0] = heap[i];
        heap[i] = out;
        sink(c, heap, more, 0);
    }
    for (uint32_t end = more; end-- > 1;) { /* the heap's root is the last of them */
        candidate last = heap[0];
        heap[0] = heap[end];
        heap[end] = last;
        sink(c, heap, end, 0);
    }
    c->ordered += more;
}

/* The candidate that stands at i in the whole order. */
static candidate ordered_at(chain *c, uint32_t i)
{
    if (i >= c->ordered) {
        uint32_t more = c->ordered < 64 ? 256 : 3 * c->ordered;
        order_more(c, more > c->count - c->ordered || more < i - c->ordered + 1 ? c->count - c->ordered : more);
    }
    return c->all[i];
}

static void reorder_by_logit(chain *c)
{
    c->by_surprise = false;
    c->ordered = 0;
}

/* ---- candidates and penalties ------------------------------------------------------------------ */

static chord_status not_finite(uint32_t token, chord_error *err)
{
    return chord_fail(err, CHORD_INVALID, "the logit of token %u is not a finite number", token);
}

/* NaN and +infinity are refused; -infinity is a token that cannot be drawn. */
static inline bool is_usable(float logit) { return logit <= 3.402823466e38f; }

static bool has_penalties(const chord_sampling *s)
{
    return (s->repeat_penalty != 0.0f && s->repeat_penalty != 1.0f) || s->presence_penalty != 0.0f ||
           s->frequency_penalty != 0.0f;
}

/* Candidates stand at their ids. A token's count is kept in its place, negated, while the past is gone through. */
static void penalise(const chord_sample_args *args, candidate *all, uint32_t n)
{
    const chord_sampling *s = args->sampling;
    size_t window = s->penalty_tokens != 0 ? s->penalty_tokens : 64;
    float repeat = s->repeat_penalty != 0.0f ? s->repeat_penalty : 1.0f;
    const int32_t *end = args->past + args->past_count;
    const int32_t *start = args->past_count > window ? end - window : args->past;
    for (const int32_t *t = start; t < end; t++)
        if (*t >= 0 && (uint32_t)*t < n) all[*t].token = all[*t].token < 0 ? all[*t].token - 1 : -1;
    for (const int32_t *t = start; t < end; t++) {
        if (*t < 0 || (uint32_t)*t >= n || all[*t].token >= 0) continue;
        candidate *c = &all[*t];
        float count = (float)-c->token;
        c->token = *t;
        c->logit = c->logit <= 0.0f ? c->logit * repeat : c->logit / repeat;
        c->logit -= count * s->frequency_penalty + s->presence_penalty;
    }
}

/* Candidates stand at their ids. */
static void add_biases(const chord_sample_args *args, candidate *all, uint32_t n)
{
    for (size_t i = 0; i < args->bias_count; i++)
        if ((uint32_t)args->biases[i].token < n) all[args->biases[i].token].logit += args->biases[i].bias;
}

static bool is_allowed(const chord_sample_args *args, uint32_t token)
{
    return args->allowed == NULL || (args->allowed[token >> 6] >> (token & 63) & 1) != 0;
}

static chord_status gather(const chord_sample_args *args, const float *logits, uint32_t n, chain *c, chord_error *err)
{
    bool good = true;
    for (uint32_t i = 0; i < n; i++) {
        good &= is_usable(logits[i]);
        c->all[i] = (candidate){.logit = logits[i], .token = (int32_t)i};
    }
    for (uint32_t i = 0; !good && i < n; i++)
        if (!is_usable(logits[i])) return not_finite(i, err);
    c->count = n;
    add_biases(args, c->all, n);
    if (has_penalties(args->sampling)) penalise(args, c->all, n);
    if (args->allowed != NULL) {
        c->count = 0;
        for (uint32_t i = 0; i < n; i++)
            if (is_allowed(args, i)) c->all[c->count++] = c->all[i];
    }
    if (c->count == 0) return chord_fail(err, CHORD_INVALID, "no token is allowed here, of %u", n);
    c->best = chord_highest(&c->all->logit, c->count, sizeof *c->all / sizeof(float));
    if (!is_usable(c->best))
        return chord_fail(err, CHORD_INVALID, "a bias or a penalty took a logit out of the range of numbers");
    if (c->best < -3.402823466e38f) return chord_fail(err, CHORD_INVALID, "every logit allowed here is -infinity");
    return CHORD_OK;
}

/* ---- filters ----------------------------------------------------------------------------------- */

static double weight(const chain *c, candidate a) { return chord_exp_below((double)a.logit - (double)c->best); }

static double weights(const chain *c, double scale)
{
    return chord_exp_sum(&c->all->logit, c->count, sizeof *c->all / sizeof(float), c->best, scale);
}

static void keep(chain *c, uint32_t count)
{
    c->count = count;
    if (c->ordered > count) c->ordered = count;
}

static void keep_top_k(chain *c, uint32_t k)
{
    if (k == 0 || k >= c->count) return;
    order_more(c, k);
    keep(c, k);
}

/* The most probable whose probabilities together reach p; so it is with typical, whose order is another. */
static void keep_mass(chain *c, double p, bool reaching)
{
    double wanted = p * weights(c, 1.0), sum = 0.0;
    for (uint32_t i = 0; i < c->count; i++) {
        sum += weight(c, ordered_at(c, i));
        if (reaching ? sum >= wanted : sum > wanted) {
            keep(c, i + 1);
            return;
        }
    }
}

/* Locally typical: those whose surprise is nearest to the distribution's entropy come first. */
static void keep_typical(chain *c, double p)
{
    double total = 0.0, mean = 0.0; /* mean of logit - best */
    for (uint32_t i = 0; i < c->count; i++) {
        double w = weight(c, c->all[i]);
        total += w;
        if (w > 0.0) mean += w * ((double)c->all[i].logit - (double)c->best);
    }
    /* entropy = ln total - mean / total, surprise = ln total - (logit - best): equal where the logit is the mean. */
    c->by_surprise = true;
    c->ordered = 0;
    c->centre = (double)c->best + mean / total;
    keep_mass(c, p, false);
    reorder_by_logit(c);
    c->best = ordered_at(c, 0).logit;
}

static void keep_min_p(chain *c, double p)
{
    double lowest = (double)c->best + chord_log(p);
    uint32_t kept = 0;
    if (p >= 1.0) lowest = (double)c->best;
    for (uint32_t i = 0; i < c->count; i++) { /* keeps what is in order in order */
        if ((double)c->all[i].logit < lowest) continue;
        if (i != kept) c->all[kept] = c->all[i];
        kept++;
    }
    keep(c, kept);
}

/* ---- drawing ----------------------------------------------------------------------------------- */

static int32_t draw(chain *c, double temperature, double uniform)
{
    double scale = 1.0 / temperature, wanted = uniform * weights(c, scale), sum = 0.0;
    int32_t token = ordered_at(c, 0).token;
    for (uint32_t i = 0; i < c->count; i++) {
        candidate next = ordered_at(c, i);
        double w = chord_exp_below(((double)next.logit - (double)c->best) * scale);
        if (w == 0.0) break; /* rounding left the sum below what was wanted: the last one that can be drawn */
        token = next.token;
        sum += w;
        if (sum > wanted) break;
    }
    return token;
}

static uint64_t mix(uint64_t x)
{
    x += 0x9E3779B97F4A7C15ull;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ x >> 27) * 0x94D049BB133111EBull;
    return x ^ x >> 31;
}

double chord_sample_uniform(uint64_t seed, uint64_t sequence, uint64_t position, uint64_t draw_number)
{
    uint64_t bits = mix(mix(mix(mix(seed) ^ sequence) ^ position) ^ draw_number);
    return (double)(bits >> 11) * 0x1p-53;
}

static chord_status check(const chord_sampling *s, uint32_t n, chord_error *err)
{
    const struct {
        const char *name;
        float value;
        bool signed_too;
    } numbers[] = {{"temperature", s->temperature, false},
                   {"top_p", s->top_p, false},
                   {"min_p", s->min_p, false},
                   {"typical_p", s->typical_p, false},
                   {"repeat_penalty", s->repeat_penalty, false},
                   {"presence_penalty", s->presence_penalty, true},
                   {"frequency_penalty", s->frequency_penalty, true}};
    if (n == 0 || n > INT32_MAX) return chord_fail(err, CHORD_INVALID, "%u logits cannot be sampled", n);
    for (size_t i = 0; i < CHORD_COUNT(numbers); i++)
        if (!(numbers[i].value <= 3.4e38f && numbers[i].value >= (numbers[i].signed_too ? -3.4e38f : 0.0f)))
            return chord_fail(err, CHORD_INVALID, "%s is %g, it must be a finite number%s", numbers[i].name,
                              (double)numbers[i].value, numbers[i].signed_too ? "" : " of at least 0");
    return CHORD_OK;
}

static bool is_off(float p) { return p == 0.0f || p >= 1.0f; }

/* No filter but typical can remove the highest logit: greedy needs no candidates. */
static chord_status pick_best(const chord_sample_args *args, const float *logits, uint32_t n, int32_t *token,
                              chord_error *err)
{
    float best = 0.0f;
    int32_t found = -1;
    for (uint32_t i = 0; i < n; i++) {
        if (!is_usable(logits[i])) return not_finite(i, err);
        if (found >= 0 && logits[i] <= best) continue;
        if (!is_allowed(args, i)) continue;
        best = logits[i];
        found = (int32_t)i;
    }
    if (found < 0) return chord_fail(err, CHORD_INVALID, "no token is allowed here, of %u", n);
    if (best < -3.402823466e38f) return chord_fail(err, CHORD_INVALID, "every logit allowed here is -infinity");
    *token = found;
    return CHORD_OK;
}

uint64_t chord_sample_scratch_bytes(uint32_t n) { return (uint64_t)n * sizeof(candidate); }

chord_status chord_sample(const chord_sample_args *args, const float *logits, uint32_t n, void *scratch, int32_t *token,
                          chord_error *err)
{
    const chord_sampling *s = args->sampling;
    chain c = {.all = scratch};
    *token = -1;
    CHORD_TRY(check(s, n, err));
    bool greedy = s->temperature == 0.0f && is_off(s->typical_p);
    if (greedy && !has_penalties(s) && args->bias_count == 0) return pick_best(args, logits, n, token, err);
    CHORD_TRY(gather(args, logits, n, &c, err));
    if (greedy) {
        order_more(&c, 1);
        *token = c.all[0].token;
        return CHORD_OK;
    }
    keep_top_k(&c, s->top_k);
    if (!is_off(s->typical_p)) keep_typical(&c, s->typical_p);
    if (!is_off(s->top_p)) keep_mass(&c, s->top_p, true);
    if (s->min_p > 0.0f) keep_min_p(&c, s->min_p);
    if (s->temperature == 0.0f) {
        *token = ordered_at(&c, 0).token;
        return CHORD_OK;
    }
    *token = draw(&c, s->temperature, chord_sample_uniform(s->seed, args->sequence, args->position, 0));
    return CHORD_OK;
}

float chord_sample_top(const float *logits, uint32_t n, int32_t token, chord_candidate *top, uint32_t *count)
{
    uint32_t want = *count, found = 0;
    for (uint32_t i = 0; i < n && want > 0; i++) {
        if (found == want && !(logits[i] > top[found - 1].logprob)) continue;
        uint32_t at = found < want ? found++ : found - 1;
        for (; at > 0 && logits[i] > top[at - 1].logprob; at--) top[at] = top[at - 1];
        top[at] = (chord_candidate){.token = (int32_t)i, .logprob = logits[i]};
    }
    *count = found;
    float best = chord_highest(logits, n, 1);
    double log_sum = chord_log(chord_exp_sum_f32(logits, n, best));
    for (uint32_t i = 0; i < found; i++) top[i].logprob = (float)((double)top[i].logprob - (double)best - log_sum);
    return (float)((double)logits[token] - (double)best - log_sum);
}

float chord_sample_logprob(const float *logits, uint32_t n, int32_t token)
{
    uint32_t none = 0;
    return chord_sample_top(logits, n, token, NULL, &none);
}
