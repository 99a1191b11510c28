/* wasi_nn_keys.c - the metadata keys of WasmEdge's GGML plugin that are not done here: each stands in one of two lists.
 * What would change the answer is refused when it is asked for; the rest is harmless, and why. A key in neither list
 * (nor in wasi_nn_options.c) is told once, as a warning. */
#include "wasi_nn_inner.h"

/* neutral: numbers that ask for nothing, as false, "" and null do. */
static const struct {
    const char *name;
    double neutral[2];
    const char *why;
} REFUSED[] = {
    {"embedding", {0, 0}, "this host generates text and makes no embeddings"},
    {"reranking", {0, 0}, "this host generates text and makes no embeddings"},
    {"mmproj", {0, 0}, "this host reads no images"},
    {"image", {0, 0}, "this host reads no images"},
    {"tts", {0, 0}, "this host makes no speech"},
    {"model-vocoder", {0, 0}, "this host makes no speech"},
    {"grammar", {0, 0}, "grammars are not supported, the text would not be constrained"},
    {"json-schema", {0, 0}, "grammars are not supported, the text would not be constrained"},
    {"json_schema", {0, 0}, "grammars are not supported, the text would not be constrained"},
    {"mirostat", {0, 0}, "this way of sampling is not supported"},
    {"xtc-probability", {0, 0}, "this way of sampling is not supported"},
    {"dynatemp-range", {0, 0}, "this way of sampling is not supported"},
    {"dry-multiplier", {0, 0}, "this way of sampling is not supported"},
    {"dry-multipier", {0, 0}, "this way of sampling is not supported"}, /* so spelt there */
    {"min-keep", {0, 1}, "this way of sampling is not supported"},
    {"rope-freq-base", {0, 0}, "positions are turned as the model's file says"},
    {"rope-freq-scale", {0, 0}, "positions are turned as the model's file says"},
    {"rope-scaling-type", {-1, -1}, "positions are turned as the model's file says"},
    {"yarn-ext-factor", {-1, -1}, "positions are turned as the model's file says"},
    {"yarn-attn-factor", {-1, 1}, "positions are turned as the model's file says"},
    {"yarn-beta-fast", {-1, 32}, "positions are turned as the model's file says"},
    {"yarn-beta-slow", {-1, 1}, "positions are turned as the model's file says"},
    {"yarn-orig-ctx", {0, 0}, "positions are turned as the model's file says"},
    {"grp-attn-n", {0, 1}, "attention is the model's own"},
    {"attention-type", {-1, 0}, "attention is the model's own"},
    {"pooling-type", {-1, 0}, "this host generates text and makes no embeddings"},
};

/* Names with a space before and behind each. */
static const struct {
    const char *why, *names;
} HARMLESS[] = {
    {"this host computes on the CPU",
     " n-gpu-layers main-gpu tensor-split split-mode cpu-moe n-cpu-moe no-kv-offload n-gpu-layers-speculative "},
    {"the host decides how many threads compute, and where",
     " threads threads-batch mask-valid mask-valid-batch priority priority-batch strict-cpu strict-cpu-batch poll "
     "poll-batch numa "},
    {"the host's budget decides what is mapped and what stays in memory", " use-mmap use-mlock load-mode "},
    {"it changes how a pass is computed, not what it gives",
     " ubatch-size flash-attn cont-batching warmup n-chunks n-parallel n-sequences "},
    {"the file is checked when it opens", " check-tensors "},
    {"a full context is told; nothing is shifted out of it", " n-keep ctx-shift "},
    {"nothing is drafted; the text is the same",
     " n-ctx-speculative n-max-speculative n-min-speculative p-split-speculative p-min-speculative "
     "lookup-cache-static lookup-cache-dynamic "},
    {"it says how, and what it belongs to is not asked for or is refused",
     " grp-attn-w mirostat-eta mirostat-ent xtc-threshold dynatemp-exponent dry-base dry-allowed-length "
     "dry-last-n-penalty always-regenerate-image-embd tts-output-file tts-speaker-file hf-repo-vocoder "
     "hf-file-vocoder model-url-vocoder embd-normalize embd-out embd-sep lora-init-without-apply "
     "control-vector-layer-start control-vector-layer-end "},
    {"the model is the one that was given by name", " model-alias model-url hf-token hf-repo hf-file "},
    {"the prompt is input 0, as it comes",
     " prompt-file path-prompt-cache prompt-cache-all prompt-cache-ro input-prefix input-suffix input-prefix-bos "
     "chat-template enable-chat-template escape "},
    {"enable-log says all there is",
     " verbosity verbose-prompt display-prompt no-perf no-perf-sampling timing-per-token log-json n-print "},
    {"output 1 always has the counts", " include_usage usage "},
    {"it is an option of a program of llama.cpp's, not of a text",
     " n-prev n-probs logits-file ppl-stride ppl-output-type hellaswag hellaswag-tasks winogrande winogrande-tasks "
     "multiple-choice multiple-choice-tasks kl-divergence use-color special interactive interactive-first "
     "multiline-input simple-io port timeout-read timeout-write n-threads-http n-cache-reuse hostname public-path "
     "ssl-file-key ssl-file-cert webui endpoint-slots endpoint-props endpoint-metrics slot-save-path "
     "slot-prompt-similarity is-pp-shared n-pp n-tg n-pl context-files chunk-size chunk-separator n-junk i-pos "
     "out-file n-out-freq n-save-freq i-chunk process-output compute-ppl n-pca-batch n-pca-iterations "
     "cvector-dimre-method cvector-positive-file cvector-negative-file spm-infill batched-bench-output-jsonl "},
};

static bool asks(const chord_json *value, const double neutral[2])
{
    switch (value->kind) {
    case CHORD_JSON_NULL: return false;
    case CHORD_JSON_BOOL: return value->boolean;
    case CHORD_JSON_INT: return (double)value->integer != neutral[0] && (double)value->integer != neutral[1];
    case CHORD_JSON_FLOAT: return value->number != neutral[0] && value->number != neutral[1];
    default: return value->len > 0;
    }
}

static bool has_name(const char *names, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = names + 1; *at != '\0';) {
        size_t n = 0;
        while (at[n] != ' ') n++;
        if (n == len && memcmp(at, name, n) == 0) return true;
        at += n + 1;
    }
    return false;
}

nn_errno nn_key_not_done(const nn_call *call, const char *name, const chord_json *value)
{
    for (size_t i = 0; i < CHORD_COUNT(REFUSED); i++) {
        if (!chord_text_equal(name, REFUSED[i].name)) continue;
        if (!asks(value, REFUSED[i].neutral)) return NN_SUCCESS;
        return nn_fail(call, NN_UNSUPPORTED_OPERATION, "metadata asks for \"%s\": %s", name, REFUSED[i].why);
    }
    if (!nn_first_time(call, name, strlen(name))) return NN_SUCCESS;
    for (size_t i = 0; i < CHORD_COUNT(HARMLESS); i++) {
        if (!has_name(HARMLESS[i].names, name)) continue;
        nn_say(call, CHORD_LOG_INFO, "metadata key \"%s\" has no effect: %s", name, HARMLESS[i].why);
        return NN_SUCCESS;
    }
    nn_say(call, CHORD_LOG_WARN, "metadata key \"%s\" is not known and has no effect", name);
    return NN_SUCCESS;
}
