/* about.c - what is served: models, properties, and whether it is ready. */
#include "dialects/dialects_inner.h"

static void write_model(const served *s, writer *w)
{
    const chord_model_info *m = &s->info;
    write_open(w, NULL, '{');
    write_text(w, "id", s->name);
    write_text(w, "object", "model");
    write_i64(w, "created", s->created_s);
    write_text(w, "owned_by", "chord");
    write_open(w, "status", '{');
    write_text(w, "value", "loaded");
    write_close(w, '}');
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

void dialect_models(ask *a)
{
    chord_buffer body;
    writer w = answer_writer(a, &body);
    write_open(&w, NULL, '{');
    write_text(&w, "object", "list");
    write_open(&w, "data", '[');
    write_model(a->s, &w);
    write_close(&w, ']');
    write_open(&w, "models", '['); /* some clients look here */
    write_open(&w, NULL, '{');
    write_text(&w, "name", a->s->name);
    write_text(&w, "model", a->s->name);
    write_text(&w, "slug", a->s->name);
    write_text(&w, "type", "model");
    write_close(&w, '}');
    write_close(&w, ']');
    write_close(&w, '}');
    answer_reply(a, &dialect_openai, &w);
}

void dialect_model(ask *a, const char *name)
{
    chord_buffer body;
    if (!chord_text_equal(name, a->s->name)) {
        ask_refuse(a, 404, "not_found_error", "model", "there is no model '%.200s' here", name);
        a->wrong.code = "model_not_found";
        answer_refuse(a, &dialect_openai);
        return;
    }
    writer w = answer_writer(a, &body);
    write_model(a->s, &w);
    answer_reply(a, &dialect_openai, &w);
}

void dialect_props(ask *a)
{
    const served *s = a->s;
    chord_buffer body;
    writer w = answer_writer(a, &body);
    write_open(&w, NULL, '{');
    write_open(&w, "default_generation_settings", '{');
    write_u64(&w, "n_ctx", s->info.context_tokens);
    write_f64(&w, "temperature", s->defaults.sampling.temperature);
    write_f64(&w, "top_p", s->defaults.sampling.top_p);
    write_u64(&w, "top_k", s->defaults.sampling.top_k);
    write_f64(&w, "min_p", s->defaults.sampling.min_p);
    write_close(&w, '}');
    write_u64(&w, "total_slots", s->sessions);
    write_text(&w, "model_alias", s->name);
    write_text(&w, "model_path", s->path);
    write_open(&w, "modalities", '{');
    write_bool(&w, "vision", false);
    write_bool(&w, "audio", false);
    write_close(&w, '}');
    write_open(&w, "chat_template_caps", '{');
    write_bool(&w, "supports_system_role", s->has_template);
    write_bool(&w, "supports_tools", false);
    write_close(&w, '}');
    write_text(&w, "build_info", "chord " CHORD_VERSION);
    write_close(&w, '}');
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
