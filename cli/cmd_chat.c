/* cmd_chat.c - a conversation: what was said is kept as messages, and rendered anew for each answer; the session
 * keeps the common part. */
#include "draft.h"
#include "interrupt.h"
#include "line_edit.h"
#include "open.h"
#include "prompt.h"
#include "report.h"
#include "terminal.h"
#include "text_file.h"
#include "thoughts.h"

#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES_MAX ((size_t)1 << 20)

typedef struct message {
    const char *role;
    char *text;
    size_t len;
} message;

typedef struct chat {
    const cli_args *args;
    cli_open open;
    line_editor *editor;
    char *template_text, *system;
    message *messages; /* without the system message; in raw mode: the pieces of one text */
    size_t count, cap;
    json_out answer; /* what was said: thoughts are no part of a conversation */
    cli_thoughts thoughts;
    uint64_t seed, turns, answer_seed; /* each answer has a seed of its own */
    uint32_t context_tokens;
    size_t line_bytes_max;
    bool to_terminal;
} chat;

/* ---- messages ------------------------------------------------------------------------------------------ */

static void add_message(chat *c, const char *role, const char *text, size_t len)
{
    if (c->count == c->cap) c->messages = cli_alloc(c->messages, (c->cap = c->cap * 2 + 8) * sizeof *c->messages);
    message *m = &c->messages[c->count++];
    *m = (message){.role = role, .text = cli_alloc(NULL, len + 1), .len = len};
    memcpy(m->text, text, len);
    m->text[len] = '\0';
}

static void drop_messages(chat *c, size_t first, size_t count)
{
    if (count == 0) return;
    for (size_t i = first; i < first + count; i++) free(c->messages[i].text);
    memmove(c->messages + first, c->messages + first + count, (c->count - first - count) * sizeof *c->messages);
    c->count -= count;
}

/* The conversation as the model wants to read it. */
static int render(chat *c, char **text, size_t *len)
{
    chord_error err;
    json_out j = {0};
    if (c->args->raw) {
        for (size_t i = 0; i < c->count; i++) json_append(&j, c->messages[i].text, c->messages[i].len);
        *text = j.data;
        *len = j.len;
        return CLI_OK;
    }
    json_open(&j, NULL, '[');
    if (c->system != NULL) cli_put_message(&j, "system", c->system, strlen(c->system));
    for (size_t i = 0; i < c->count; i++)
        cli_put_message(&j, c->messages[i].role, c->messages[i].text, c->messages[i].len);
    json_close(&j, ']');
    chord_status status = cli_render(c->open.model, c->template_text, j.data, j.len, true, text, len, &err);
    json_free(&j);
    return status == CHORD_OK ? CLI_OK : cli_fail_with(&err);
}

/* What the context keeps free for the answer: a conversation that has outgrown it would else leave a word or two. */
static uint32_t answer_room(const chat *c)
{
    uint32_t quarter = c->context_tokens / 4 > 0 ? c->context_tokens / 4 : 1;
    return c->args->predict > 0 && c->args->predict < quarter ? (uint32_t)c->args->predict : quarter;
}

/* Ids of the conversation; the oldest exchanges are left out when it has outgrown the context. */
static int conversation(chat *c, char **prompt, size_t *prompt_len, int32_t **ids, size_t *count)
{
    size_t dropped = 0;
    uint32_t room = answer_room(c);
    for (;;) {
        char *text;
        size_t len;
        int code = render(c, &text, &len);
        if (code != CLI_OK) return code;
        code = cli_tokens(c->open.model, text, len, c->args->raw ? CHORD_TOKENIZE_RAW : CHORD_TOKENIZE_SPECIAL, ids,
                          count);
        free(*prompt);
        *prompt = text;
        *prompt_len = len;
        if (code != CLI_OK) return code;
        if (*count + room <= c->context_tokens) break;
        free(*ids);
        *ids = NULL;
        if (c->count < 3)
            return cli_fail("this has %zu tokens, the context holds %u and keeps %u of them for the answer (--ctx, -n)",
                            *count, c->context_tokens, room);
        drop_messages(c, 0, 2);
        dropped += 2;
    }
    if (dropped > 0)
        cli_note("the context of %u tokens, %u of them for the answer, is full: the oldest %zu messages are forgotten",
                 c->context_tokens, room, dropped);
    return CLI_OK;
}

/* ---- answers --------------------------------------------------------------------------------------------- */

static bool take_piece(void *ud, const chord_piece *piece)
{
    chat *c = ud;
    c->open.live.tokens++;
    if (piece->len == 0) return true;
    cli_live_clear(&c->open.live);
    c->open.live.on = c->open.live.on && !c->to_terminal;
    if (cli_thoughts_take(&c->thoughts, piece->text, piece->len)) return cli_flush();
    json_append(&c->answer, piece->text, piece->len);
    cli_put(stdout, piece->text, piece->len);
    return cli_flush();
}

typedef struct question {
    char *prompt;
    size_t len;
    int32_t *ids;
    size_t count;
} question;

static chord_status evaluate(chat *c, const question *q, chord_generate_result *result, chord_error *err)
{
    c->open.live.tokens = q->count;
    chord_status status = chord_session_sync(c->open.session, q->ids, q->count, NULL, err);
    c->open.live.tokens = 0;
    if (status != CHORD_OK) return status;
    chord_generate_options options = {.max_tokens = c->args->predict > 0 ? (uint32_t)c->args->predict : 0,
                                      .sampling = cli_sampling(c->args),
                                      .stops = c->args->stops,
                                      .stop_count = c->args->stop_count,
                                      .draft_tokens = c->args->draft_tokens};
    options.sampling.seed = c->answer_seed = c->seed + c->turns++;
    c->thoughts.said = &c->answer;
    c->thoughts.show = c->to_terminal;
    if (c->to_terminal && !c->args->raw)
        cli_thoughts_open(&c->thoughts, c->open.model, c->template_text, q->prompt, q->len, &options);
    status = chord_session_generate(c->open.session, &options, take_piece, c, result, err);
    cli_thoughts_close(&c->thoughts);
    return status;
}

static int answer(chat *c, const question *q)
{
    chord_error err;
    chord_generate_result result = {0};
    chord_status status;
    c->answer.len = 0;
    chord_session_stats_reset(c->open.session);
    cli_live_start(&c->open.live);
    cli_interrupt_watch(&c->open.session, 1);
    do status = evaluate(c, q, &result, &err);
    while (status == CHORD_CANCELLED &&
           !cli_interrupted()); /* a Ctrl-C that came when the answer before was just complete */
    cli_interrupt_watch(NULL, 0);
    cli_live_clear(&c->open.live);
    bool stopped = status == CHORD_CANCELLED;
    if (stopped) status = CHORD_OK;
    if (c->answer.len > 0) cli_put(stdout, "\n", 1);
    if (status == CHORD_OK && stopped) cli_note("stopped");
    if (status == CHORD_OK && !stopped && result.stop_reason == CHORD_STOP_CONTEXT)
        cli_note("the context of %u tokens is full: the answer ends in the middle", c->context_tokens);
    int code = cli_finish_output();
    return status == CHORD_OK ? code : cli_fail_with(&err);
}

/* One exchange. What failed, or was stopped before a word came, is as if it had not been said. */
static int say(chat *c, const char *line, size_t len)
{
    question q = {0};
    add_message(c, "user", line, len);
    int code = conversation(c, &q.prompt, &q.len, &q.ids, &q.count);
    if (code == CLI_OK) code = answer(c, &q);
    free(q.prompt);
    free(q.ids);
    if (code == CLI_OK && c->answer.len > 0) add_message(c, "assistant", c->answer.data, c->answer.len);
    else drop_messages(c, c->count - 1, 1);
    return code;
}

/* ---- what begins with a slash ---------------------------------------------------------------------------------- */

static void print_stats(chat *c)
{
    cli_report report;
    cli_rates rates;
    chord_stats stats, prompt = {0};
    chord_model_info info;
    chord_session_stats(c->open.session, &stats);
    chord_model_describe(c->open.model, &info);
    cli_rates_load(c->args->model, chord_runtime_threads(c->open.runtime), &rates);
    prompt.prefill_ns = stats.prefill_ns;
    prompt.passes = stats.output_tokens > 0 && stats.passes >= stats.output_tokens
                        ? stats.passes - stats.output_tokens + 1
                        : stats.passes;
    cli_report_make(&prompt, &stats, &info.plan, &rates, &report);
    report.sampled = c->args->temperature > 0;
    report.seed = c->answer_seed;
    cli_report_print(&report);
    cli_print_to(stderr, "%zu messages; of the last prompt %" PRIu64 " tokens were known and %" PRIu64 " new\n",
                 c->count, stats.reused_tokens, stats.prompt_tokens);
}

static char *copy_of(const char *text) { return memcpy(cli_alloc(NULL, strlen(text) + 1), text, strlen(text) + 1); }

static void set_system(chat *c, const char *text)
{
    free(c->system);
    c->system = NULL;
    if (*text == '\0') {
        cli_note("there is no system message any more");
        return;
    }
    c->system = copy_of(text);
}

static const char HELP[] = "/reset          forget what was said\n"
                           "/system TEXT    the system message from now on; without TEXT: none\n"
                           "/stats          speed, memory and bytes of the last answer\n"
                           "/exit           leave (also Ctrl-D)\n"
                           "Ctrl-C stops an answer. A line that ends in \\ goes on in the next. A line beginning with "
                           "// is said with one /.\n";

/* A command is a whole line, which a zero byte does not end. true: leave. */
static bool obey(chat *c, const char *line, size_t len)
{
    if (strlen(line) != len) {
        cli_fail("a command with a zero byte in it; /help lists what there is");
        return false;
    }
    if (strcmp(line, "/exit") == 0 || strcmp(line, "/quit") == 0) return true;
    if (strcmp(line, "/help") == 0) cli_put(stderr, HELP, sizeof HELP - 1);
    else if (strcmp(line, "/stats") == 0) print_stats(c);
    else if (strcmp(line, "/reset") == 0) drop_messages(c, 0, c->count);
    else if (strcmp(line, "/system") == 0 || strncmp(line, "/system ", 8) == 0) {
        if (c->args->raw) cli_fail("--raw knows no system message");
        else set_system(c, line[7] != '\0' ? line + 8 : "");
    } else cli_fail("there is no command '%s'; /help lists them", line);
    return false;
}

/* ---- the conversation -------------------------------------------------------------------------------------------- */

static size_t line_limit(const cli_args *args)
{
    size_t most = cli_prompt_bytes_max(args);
    return most < LINE_BYTES_MAX ? most : LINE_BYTES_MAX;
}

static int refuse_line(const chat *c)
{
    char most[32];
    return cli_fail("a line of more than %s is not said: no context of this budget has room for it",
                    cli_size_text(c->line_bytes_max, most));
}

/* Nothing but spaces, or nothing at all. */
static bool is_blank(const char *line, size_t len) { return strspn(line, " \t\r\n") == len; }

static int converse(chat *c)
{
    const char *line;
    size_t len;
    bool warned = false;
    int code = CLI_OK;
    for (;;) {
        line_result result = line_editor_read(c->editor, "> ", &line, &len);
        if (result == LINE_END) return c->to_terminal ? CLI_OK : code;
        if (result == LINE_FAILED) return CLI_FAILED;
        if (result == LINE_INTERRUPT) {
            if (warned) return CLI_INTERRUPTED;
            fputs("(Ctrl-C again or Ctrl-D leaves)\n", stderr);
            warned = true;
            continue;
        }
        warned = false;
        if (result == LINE_LONG) code = refuse_line(c);
        else if (is_blank(line, len)) continue;
        else if (line[0] != '/') code = say(c, line, len);
        else if (line[1] == '/') code = say(c, line + 1, len - 1);
        else if (obey(c, line, len)) return c->to_terminal ? CLI_OK : code;
        if (ferror(stdout)) return CLI_FAILED;
    }
}

static int check_template(const chat *c)
{
    chord_model_info info;
    chord_model_describe(c->open.text, &info);
    if (c->args->raw || c->template_text != NULL || info.has_chat_template) return CLI_OK;
    return cli_fail(
        "%s has no chat template: give it one with --template-file, or use --raw to have it continue plain text",
        c->args->model);
}

static int open_chat(chat *c)
{
    size_t len;
    chord_model_info info;
    int code = CLI_OK;
    if (c->args->template_file != NULL)
        code = cli_read_text(c->args, CLI_TEXT_TEMPLATE, c->args->template_file, &c->template_text, &len);
    if (c->args->system != NULL) c->system = copy_of(c->args->system); /* also an empty one */
    if (code == CLI_OK) code = cli_open_runtime(c->args, &c->open);
    if (code == CLI_OK) code = cli_open_text(&c->open, c->args->context);
    if (code == CLI_OK) code = check_template(c);
    if (code == CLI_OK) code = cli_open_session(&c->open, c->args->context);
    if (code != CLI_OK) return code;
    chord_model_describe(c->open.model, &info);
    c->context_tokens = info.context_tokens;
    return CLI_OK;
}

static int run(const cli_args *args)
{
    static char history[PATH_MAX];
    bool keep = !args->no_history &&
                cli_state_path("XDG_STATE_HOME", ".local/state", "history", history, sizeof history);
    if (args->model == NULL) return cli_usage(&cli_chat, "which model? give the path of a GGUF file");
    if (args->raw && (args->system != NULL || args->template_file != NULL))
        return cli_usage(&cli_chat, "--raw uses no template: --system and --template-file have no place there");
    if (args->predict == 0) return cli_usage(&cli_chat, "-n 0 leaves nothing to answer with; -1 is no limit");
    int code = cli_check_draft(&cli_chat, args);
    if (code == CLI_OK) code = cli_check_kv_dir(&cli_chat, args);
    if (code != CLI_OK) return code;
    chat c = {.args = args,
              .line_bytes_max = line_limit(args),
              .to_terminal = isatty(STDOUT_FILENO) != 0,
              .seed = args->seed_given ? args->seed : (uint64_t)time(NULL)};
    c.editor = line_editor_open(keep ? history : NULL, c.line_bytes_max);
    cli_interrupt_before_exit(line_editor_restore);
    code = open_chat(&c);
    if (code == CLI_OK && c.to_terminal) fputs("/help lists what can be done besides talking\n", stderr);
    if (code == CLI_OK) code = converse(&c);
    cli_close(&c.open);
    drop_messages(&c, 0, c.count);
    free(c.messages);
    free(c.system);
    free(c.template_text);
    json_free(&c.answer);
    cli_interrupt_before_exit(NULL);
    line_editor_close(c.editor);
    return code;
}

static void defaults(cli_args *args)
{
    args->temperature = 0.7f;
    args->top_p = 0.95f;
    args->predict = -1;
    args->draft_tokens = CLI_DRAFT_TOKENS_DEFAULT;
}

static const cli_option OPTIONS[] = {
    {"--system", NULL, CLI_TEXT, CLI_FIELD(system), "TEXT", "the system message", 0, 0},
    {"--template-file", NULL, CLI_TEXT, CLI_FIELD(template_file), "F",
     "a chat template (Jinja) in place of the model's", 0, 0},
    {"--raw", NULL, CLI_FLAG, CLI_FIELD(raw), NULL, "no template: the model continues one growing text", 0, 0},
    {"--predict", "-n --n-predict", CLI_I64, CLI_FIELD(predict), "N",
     "at most N tokens for each answer (default -1: until it ends)", -1, 1 << 24},
    {"--no-history", NULL, CLI_FLAG, CLI_FIELD(no_history), NULL, "keep no file of the lines typed", 0, 0},
    CLI_OPTIONS_MACHINE,
    CLI_OPTIONS_MODEL("room for the conversation, in tokens (default: what the model was trained for, at most 4096)"),
    CLI_OPTIONS_KV_DIR,
    CLI_OPTIONS_SAMPLING("0 is greedy, higher more varied (default 0.7)",
                         "draw from the likeliest tokens with mass P (default 0.95)",
                         "the same seed draws the same answers (default: the clock; /stats tells it)"),
    CLI_OPTIONS_DRAFT,
    CLI_OPTION_MODEL,
    CLI_OPTION_NO_CACHE,
};

const cli_command cli_chat = {
    .name = "chat",
    .summary = "talk with a model",
    .usage = "MODEL [options]",
    .text = "An interactive conversation in the model's chat template. Ctrl-C stops an answer and keeps the "
            "conversation; Ctrl-D leaves. "
            "Lines can be edited and are remembered; /help lists the commands. When stdin is no terminal, each of its "
            "lines is said in turn.",
    .examples = "  chord chat model.gguf --memory 1G\n"
                "  chord chat model.gguf --system \"Answer in French.\" --temp 0\n",
    .options = OPTIONS,
    .option_count = CLI_COUNT(OPTIONS),
    .words_max = 1,
    .reads = CLI_READS_PASSES,
    .defaults = defaults,
    .run = run,
};
