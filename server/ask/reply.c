/* reply.c - what an answer is read with, and the form it has to have. */
#include "ask/ask.h"

bool ask_read_reply(ask *a, const ask_prompt *prompt, uint32_t count)
{
    chord_error err;
    const served *s = a->s;
    chord_status status = CHORD_OK;
    a->replies = ask_get(a, count * sizeof *a->replies);
    if (a->replies == NULL) return false;
    chord_reply_options options = {.template_text = s->template_text,
                                   .tools = a->calls.tools,
                                   .tools_len = a->calls.len,
                                   .prompt = prompt->text != NULL ? prompt->text : "",
                                   .prompt_len = prompt->len,
                                   .keep_thoughts = a->keep_thoughts};
    chord_mutex_lock(&a->s->reading);
    for (uint32_t i = 0; i < count && status == CHORD_OK; i++) {
        status = chord_reply_open(s->model, &options, &a->replies[i], &err);
        a->reply_count += status == CHORD_OK;
    }
    chord_mutex_unlock(&a->s->reading);
    return status == CHORD_OK || ask_fail(a, "tools", &err);
}

bool ask_reply_form(ask *a, chord_generate_options *out)
{
    chord_error err;
    const ask_calls *c = &a->calls;
    chord_reply_form form = {
        .call = c->required, .tool = c->tool, .one = c->one, .schema = a->said_schema, .schema_len = a->said_len};
    out->specials = chord_reply_specials(a->replies[0], &out->special_count);
    bool wanted = a->said_schema != NULL || (c->tools != NULL && (c->required || c->one || c->strict));
    if (!wanted) return true;
    const char *param = a->said_schema != NULL ? a->said_param : "tools";
    if (a->said_schema != NULL && c->required)
        return ask_invalid(a, param, "an answer has one form: '%s', or a call that 'tool_choice' wants", param);
    if (a->grammar != NULL) return ask_invalid(a, param, "an answer has one form, and '%s' is another one", param);
    chord_mutex_lock(&a->s->reading); /* it takes the model's memory */
    chord_status status = chord_reply_grammar(a->s->model, a->replies[0], &form, &a->grammar, &err);
    chord_mutex_unlock(&a->s->reading);
    out->grammar = a->grammar;
    if (status == CHORD_OK && a->grammar != NULL && out->ignore_end)
        return ask_invalid(a, "ignore_eos", "an answer of a form ends where the form does");
    return status == CHORD_OK || ask_form_failed(a, param, &err);
}

/* ---- thinking ------------------------------------------------------------------------------------------------------ */

static bool read_thinking(ask *a, bool *said, bool *thinks)
{
    const chord_json *thinking = ask_field(a->root, "thinking");
    *said = ask_field(a->root, "enable_thinking") != NULL;
    if (!ask_bool(a, "enable_thinking", thinks)) return false;
    if (thinking == NULL || thinking->kind != CHORD_JSON_OBJECT) return true;
    bool on = ask_is(thinking, "type", "enabled") || ask_is(thinking, "type", "adaptive");
    if (!on && !ask_is(thinking, "type", "disabled"))
        return ask_invalid(a, "thinking", "'thinking' must have the type enabled, adaptive or disabled");
    *said = true;
    *thinks = on;
    return true;
}

/* What a template is told of it; who says nothing leaves it to the template. */
bool ask_write_thinking(ask *a, writer *w)
{
    bool said, thinks = true;
    const char *effort;
    const chord_json *reasoning = ask_field(a->root, "reasoning");
    if (!read_thinking(a, &said, &thinks) || !ask_text(a, a->root, "reasoning_effort", &effort)) return false;
    if (effort == NULL && reasoning != NULL && !ask_text(a, reasoning, "effort", &effort)) return false;
    bool none = effort != NULL && chord_text_equal(effort, "none");
    if (said || none) write_bool(w, "enable_thinking", thinks && !none);
    if (effort != NULL && !none) write_text(w, "reasoning_effort", effort);
    return true;
}

/* "none": all that the model writes is what it says. */
bool ask_reasoning_format(ask *a)
{
    static const struct {
        const char *name;
        bool keeps, hides;
    } FORMATS[] = {{"auto", false, false}, {"deepseek", false, false}, {"parsed", false, false},
                   {"none", true, false},  {"raw", true, false},       {"hidden", false, true}};
    const char *format;
    if (!ask_text(a, a->root, "reasoning_format", &format)) return false;
    if (format == NULL) return true;
    for (size_t i = 0; i < CHORD_COUNT(FORMATS); i++) {
        if (!chord_text_equal(format, FORMATS[i].name)) continue;
        a->keep_thoughts = FORMATS[i].keeps;
        a->hide_thoughts = FORMATS[i].hides;
        return true;
    }
    return ask_invalid(a, "reasoning_format", "'reasoning_format' must be auto, none, deepseek, parsed, raw or hidden");
}
