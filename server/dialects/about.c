/* about.c - what is served: models, properties, and whether it is ready. */
#include "dialects/dialects_inner.h"

static void write_model(served *s, writer *w)
{
    served_info about;
    const chord_model_info *m = &about.model;
    models_info(s, &about);
    write_open(w, NULL, '{');
    write_text(w, "id", s->name);
    write_text(w, "object", "model");
    write_i64(w, "created", s->created_s);
    write_text(w, "owned_by", "chord");
    write_open(w, "status", '{');
    write_text(w, "value", about.is_open ? "loaded" : "unloaded");
    write_close(w, '}');
    if (m->vocabulary == 0) { /* it was never open */
        write_close(w, '}');
        return;
    }
    write_open(w, "meta", '{');
    write_u64(w, "n_vocab", m->vocabulary);
    write_u64(w, "n_ctx", m->context_tokens);
    write_u64(w, "n_ctx_train", m->trained_context_tokens);
    write_u64(w, "n_embd", m->embedding);
    write_u64(w, "n_params", m->parameters);
    write_u64(w, "size", m->file_bytes);
    write_close(w, '}');
    write_close(w, '}');
}

static void write_name(const served *s, writer *w)
{
    write_open(w, NULL, '{');
    write_text(w, "name", s->name);
    write_text(w, "model", s->name);
    write_text(w, "slug", s->name);
    write_text(w, "type", "model");
    write_open(w, "capabilities", '[');
    write_text(w, NULL, "completion");
    write_close(w, ']');
    write_close(w, '}');
}

void dialect_models(ask *a)
{
    const models *all = a->s->all;
    chord_buffer body;
    writer w = answer_writer(a, &body);
    write_open(&w, NULL, '{');
    write_text(&w, "object", "list");
    write_open(&w, "data", '[');
    for (uint32_t i = 0; i < all->count; i++) write_model(&all->each[i], &w);
    write_close(&w, ']');
    write_open(&w, "models", '['); /* some clients look here */
    for (uint32_t i = 0; i < all->count; i++) write_name(&all->each[i], &w);
    write_close(&w, ']');
    write_close(&w, '}');
    answer_reply(a, &dialect_openai, &w);
}

void dialect_model(ask *a, const char *name)
{
    chord_buffer body;
    served *s = NULL;
    for (uint32_t i = 0; i < a->s->all->count; i++)
        if (chord_text_equal(name, a->s->all->each[i].name)) s = &a->s->all->each[i];
    if (s == NULL) {
        ask_refuse(a, 404, "not_found_error", "model", "there is no model '%.200s' here", name);
        a->wrong.code = "model_not_found";
        answer_refuse(a, &dialect_openai);
        return;
    }
    writer w = answer_writer(a, &body);
    write_model(s, &w);
    answer_reply(a, &dialect_openai, &w);
}

void dialect_props(ask *a)
{
    served *s = a->s;
    served_info about;
    chord_buffer body;
    models_info(s, &about);
    if (about.is_open &&
        (!ask_take(a, s) || !ask_caps(a))) { /* of one that is not, its template is not there to be tried */
        answer_refuse(a, &dialect_openai);
        return;
    }
    writer w = answer_writer(a, &body);
    write_open(&w, NULL, '{');
    write_open(&w, "default_generation_settings", '{');
    write_u64(&w, "n_ctx", about.model.context_tokens);
    write_f64(&w, "temperature", s->defaults.sampling.temperature); /* older clients look here, others below */
    write_f64(&w, "top_p", s->defaults.sampling.top_p);
    write_u64(&w, "top_k", s->defaults.sampling.top_k);
    write_f64(&w, "min_p", s->defaults.sampling.min_p);
    write_open(&w, "params", '{');
    dialect_write_settings(&s->defaults, s->defaults.max_tokens > 0 ? (int64_t)s->defaults.max_tokens : -1, -1, &w);
    write_close(&w, '}');
    write_close(&w, '}');
    write_u64(&w, "total_slots", about.sessions);
    write_text(&w, "model_alias", s->name);
    write_text(&w, "model_path", s->path);
    write_open(&w, "modalities", '{');
    write_bool(&w, "vision", false);
    write_bool(&w, "audio", false);
    write_close(&w, '}');
    write_open(&w, "chat_template_caps", '{');
    write_bool(&w, "supports_system_role", about.has_template && (a->caps.system || !a->caps_known));
    write_bool(&w, "supports_tools", about.has_template); /* they are described where the template does not show them */
    write_bool(&w, "supports_tool_calls", about.has_template);
    write_bool(&w, "supports_parallel_tool_calls", about.has_template);
    write_bool(&w, "supports_object_arguments", a->caps.calls && !a->caps.arguments_text);
    write_bool(&w, "supports_preserve_reasoning", a->caps.thinks);
    write_close(&w, '}');
    write_text(&w, "build_info", "chord " CHORD_VERSION);
    write_close(&w, '}');
    answer_reply(a, &dialect_openai, &w);
}

void dialect_slots(ask *a)
{
    served *s = a->s;
    served_info about;
    chord_buffer body;
    bool busy[ENGINE_SESSIONS_MAX];
    models_info(s, &about);
    if (about.is_open && !ask_take(a, s)) {
        answer_refuse(a, &dialect_openai);
        return;
    }
    uint32_t count = about.is_open ? engine_busy(s->engine, busy) : 0;
    writer w = answer_writer(a, &body);
    write_open(&w, NULL, '[');
    for (uint32_t i = 0; i < count; i++) {
        write_open(&w, NULL, '{');
        write_u64(&w, "id", i);
        write_u64(&w, "n_ctx", about.model.context_tokens);
        write_bool(&w, "is_processing", busy[i]);
        write_close(&w, '}');
    }
    write_close(&w, ']');
    answer_reply(a, &dialect_openai, &w);
}

void dialect_health(ask *a)
{
    chord_buffer body;
    writer w = answer_writer(a, &body);
    write_open(&w, NULL, '{');
    write_text(&w, "status", "ok");
    write_close(&w, '}');
    answer_reply(a, &dialect_openai, &w);
}
