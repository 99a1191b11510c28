/* metrics.c - /metrics, in Prometheus's text format: base units, no gauge that only grows. */
#include "dialects/dialects_inner.h"

#include <stdio.h>

static void head(writer *w, const char *name, const char *kind, const char *help)
{
    write_plain(w, "# HELP chord_%s %s\n# TYPE chord_%s %s\n", name, help, name, kind);
}

static void gauge(writer *w, const char *name, const char *help, uint64_t value)
{
    head(w, name, "gauge", help);
    write_plain(w, "chord_%s %" PRIu64 "\n", name, value);
}

static void counter(writer *w, const char *name, const char *help, uint64_t value)
{
    head(w, name, "counter", help);
    write_plain(w, "chord_%s %" PRIu64 "\n", name, value);
}

static void number(writer *w, double value)
{
    char text[40];
    snprintf(text, sizeof text, "%.9g", value);
    write_plain(w, "%s", text);
}

static void seconds(writer *w, const char *name, const char *help, uint64_t ns)
{
    head(w, name, "counter", help);
    write_plain(w, "chord_%s ", name);
    number(w, (double)ns / 1e9);
    write_plain(w, "\n");
}

static void histogram(writer *w, const char *name, const char *help, const engine_histogram *h)
{
    uint64_t count = 0;
    head(w, name, "histogram", help);
    for (uint32_t i = 0; i <= ENGINE_BOUNDS; i++) {
        count += h->counts[i];
        write_plain(w, "chord_%s_bucket{le=\"", name);
        if (i < ENGINE_BOUNDS) number(w, h->bounds[i]);
        write_plain(w, "%s\"} %" PRIu64 "\n", i < ENGINE_BOUNDS ? "" : "+Inf", count);
    }
    write_plain(w, "chord_%s_sum ", name);
    number(w, h->sum);
    write_plain(w, "\nchord_%s_count %" PRIu64 "\n", name, count);
}

static void finished(writer *w, const engine_counts *c)
{
    head(w, "requests_total", "counter", "Texts that ended, by the reason.");
    for (uint32_t i = 0; i < CHORD_COUNT(c->finished); i++)
        write_plain(w, "chord_requests_total{finish_reason=\"%s\"} %" PRIu64 "\n",
                    chord_stop_reason_text((chord_stop_reason)i), c->finished[i]);
    write_plain(w, "chord_requests_total{finish_reason=\"cancelled\"} %" PRIu64 "\n", c->cancelled);
    write_plain(w, "chord_requests_total{finish_reason=\"failed\"} %" PRIu64 "\n", c->failed);
}

static void write_metrics(const served *s, writer *w)
{
    engine_counts c;
    models_counts(s->all, &c);
    gauge(w, "requests_running", "Texts that grow, or whose prompts are read.", c.running);
    gauge(w, "requests_waiting", "Texts that wait for a session.", c.waiting);
    gauge(w, "sessions", "Texts that can grow at once.", c.sessions);
    gauge(w, "connections", "Open connections.", wire_connections(s->all->wire));
    finished(w, &c);
    counter(w, "requests_refused_total", "Requests that found the queue full.", c.refused);
    counter(w, "requests_parked_total", "Times that a text gave up its room in the cache to go on later.", c.parked);
    counter(w, "prompt_tokens_total", "Tokens of prompts that were evaluated.", c.prompt_tokens);
    counter(w, "prefix_tokens_hit_total", "Tokens of prompts that were known before.", c.reused_tokens);
    counter(w, "output_tokens_total", "Tokens that were made.", c.output_tokens);
    counter(w, "passes_total", "Walks over the weights.", c.passes);
    counter(w, "streamed_bytes_total", "Bytes of weights that were read.", c.streamed_bytes);
    seconds(w, "read_seconds_total", "Time in which some read was under way.", c.read_ns);
    seconds(w, "stall_seconds_total", "Time in which a pass stood still for one.", c.stall_ns);
    gauge(w, "budget_bytes", "What the process may use (--memory).", s->budget_bytes);
    gauge(w, "peak_bytes", "The most that the process has had in memory.", c.peak_bytes);
    gauge(w, "resident_weight_bytes", "Weights that stay in memory.", c.resident_bytes);
    gauge(w, "kv_bytes", "Memory for keys and values.", c.kv_bytes);
    gauge(w, "request_bytes", "Memory that requests and answers take now.", chord_heap_used_bytes(s->heap));
    histogram(w, "time_to_first_token_seconds", "From a request to its first token.", &c.first_token);
    histogram(w, "inter_token_seconds", "Between tokens of one text.", &c.inter_token);
    histogram(w, "queue_seconds", "Waiting for a session.", &c.queue);
    histogram(w, "pass_seconds", "One walk over the weights.", &c.pass);
    histogram(w, "rows_per_pass", "Tokens that shared a walk.", &c.rows);
}

void dialect_metrics(ask *a)
{
    chord_buffer body;
    writer w = answer_writer(a, &body);
    write_metrics(a->s, &w);
    wire_reply(a->wire, w.status == CHORD_OK ? 200 : 503, "text/plain; version=0.0.4; charset=utf-8", &body);
    chord_buffer_free(&body);
    ask_close(a);
}
