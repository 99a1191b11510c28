// Made by scripts/make-constants from include/chord_host_v1.h and include/chord.h. Do not edit.
//
// Signatures: i is a 32-bit number, l a 64-bit one (a bigint in JavaScript), p a pointer or a size (a bigint in a wasm64 module), - nothing.
// Layouts are the same in wasm32 and wasm64, little endian. Types: i32 u32 f32 u64, bool (a byte), text (bytes up to the first zero), or the
// name of a structure; `count` elements follow each other, of a text that many bytes.

export const HOST_MODULE = "chord_host_v1";
export const HOST_VERSION = 1;
export const DRAFT_FOLDER = "draft/";

export const HostCode = {
  OK: 0,
  INVALID: -1,
  RANGE: -2,
  IO: -3,
  MEMORY: -4,
  UNSUPPORTED: -5,
  CANCELLED: -6,
  LIMIT: -7,
} as const;

export const Status = {
  OK: 0,
  CANCELLED: 1,
  INVALID: 2,
  NO_MEMORY: 3,
  BUDGET: 4,
  IO: 5,
  CORRUPT: 6,
  UNSUPPORTED: 7,
  FULL: 8,
  SHORT: 9,
} as const;

export const LogLevel = {
  INFO: 0,
  WARN: 1,
} as const;

export const KvType = {
  F16: 0,
  Q8_0: 1,
} as const;

export const Policy = {
  PLAN: 0,
  LRU: 1,
  NONE: 2,
} as const;

export const Mode = {
  AUTO: 0,
  MAPPED: 1,
  PAGED: 2,
} as const;

export const TokenizeMode = {
  PLAIN: 0,
  SPECIAL: 1,
  RAW: 2,
} as const;

export const StopReason = {
  LENGTH: 0,
  END: 1,
  TEXT: 2,
  CONTEXT: 3,
  CALLER: 4,
} as const;

export const Phase = {
  OPEN: 0,
  PREFILL: 1,
  DECODE: 2,
} as const;

export const Wake = {
  OK: 0,
  CHANGED: 1,
  TIMEOUT: 2,
} as const;

// By Status.
export const STATUS_TEXTS = [
  "ok",
  "cancelled",
  "invalid argument",
  "out of memory",
  "memory budget too small",
  "read failed",
  "malformed file",
  "unsupported model",
  "context is full",
  "buffer too small",
] as const;

// What a host offers.
export const IMPORTS = {
  version: { parameters: "", result: "i" },
  clock_ns: { parameters: "", result: "l" },
  clock_unix_s: { parameters: "", result: "l" },
  log: { parameters: "ipp", result: "-" },
  error_text: { parameters: "pp", result: "p" },
  cancelled: { parameters: "", result: "i" },
  emit: { parameters: "pp", result: "i" },
  progress: { parameters: "p", result: "-" },
  past_write: { parameters: "pp", result: "i" },
  past_read: { parameters: "pp", result: "i" },
  memory_limit: { parameters: "", result: "l" },
  file_open: { parameters: "pp", result: "i" },
  file_name: { parameters: "ipp", result: "i" },
  file_size: { parameters: "i", result: "l" },
  file_align: { parameters: "i", result: "i" },
  file_read: { parameters: "ilpp", result: "i" },
  file_fetch: { parameters: "ilppp", result: "l" },
  file_prefetch: { parameters: "ill", result: "i" },
  file_map: { parameters: "illpp", result: "l" },
  file_unmap: { parameters: "pp", result: "i" },
  tensor_count: { parameters: "i", result: "l" },
  tensor_at: { parameters: "ilp", result: "i" },
  window_skew: { parameters: "", result: "i" },
  bank_limit: { parameters: "", result: "l" },
  bank_kind: { parameters: "", result: "i" },
  bank_open: { parameters: "p", result: "i" },
  bank_show: { parameters: "ip", result: "i" },
  bank_read: { parameters: "ippp", result: "i" },
  bank_write: { parameters: "ippp", result: "i" },
  bank_close: { parameters: "i", result: "i" },
  thread_limit: { parameters: "", result: "i" },
  thread_start: { parameters: "p", result: "i" },
  thread_join: { parameters: "i", result: "i" },
  wait: { parameters: "pil", result: "i" },
  wake: { parameters: "pi", result: "i" },
  rows_offered: { parameters: "", result: "i" },
  rows: { parameters: "p", result: "i" },
} as const;

// What a guest exports.
export const EXPORTS = {
  guest_version: { parameters: "", result: "i" },
  guest_alloc: { parameters: "p", result: "p" },
  guest_free: { parameters: "p", result: "-" },
  guest_error: { parameters: "p", result: "-" },
  guest_runtime_open: { parameters: "pp", result: "i" },
  guest_runtime_close: { parameters: "p", result: "-" },
  guest_runtime_threads: { parameters: "p", result: "i" },
  guest_model_plan: { parameters: "ppp", result: "i" },
  guest_model_open: { parameters: "ppp", result: "i" },
  guest_model_close: { parameters: "p", result: "-" },
  guest_model_describe: { parameters: "pp", result: "-" },
  guest_tokenize: { parameters: "pppippp", result: "i" },
  guest_detokenize: { parameters: "pppippp", result: "i" },
  guest_chat_render: { parameters: "ppppippp", result: "i" },
  guest_session_open: { parameters: "pp", result: "i" },
  guest_session_close: { parameters: "p", result: "-" },
  guest_session_reset: { parameters: "p", result: "-" },
  guest_session_sync: { parameters: "pppp", result: "i" },
  guest_session_feed: { parameters: "pppp", result: "i" },
  guest_session_copy: { parameters: "pp", result: "i" },
  guest_session_saved_bytes: { parameters: "pp", result: "i" },
  guest_session_save: { parameters: "p", result: "i" },
  guest_session_load: { parameters: "p", result: "i" },
  guest_sessions_step: { parameters: "pp", result: "i" },
  guest_session_score: { parameters: "ppppp", result: "i" },
  guest_session_stats: { parameters: "pp", result: "-" },
  guest_session_stats_reset: { parameters: "p", result: "-" },
  guest_generate_start: { parameters: "ppp", result: "i" },
  guest_generate_next: { parameters: "pp", result: "i" },
  guest_generate_result: { parameters: "pp", result: "-" },
  guest_cancel: { parameters: "p", result: "-" },
} as const;

export const chord_error = {
  bytes: 384,
  fields: {
    status: { offset: 0, type: "u32", count: 1 },
    os_errno: { offset: 4, type: "i32", count: 1 },
    text: { offset: 8, type: "text", count: 376 },
  },
} as const;

export const chord_sampling = {
  bytes: 48,
  fields: {
    temperature: { offset: 0, type: "f32", count: 1 },
    top_k: { offset: 4, type: "u32", count: 1 },
    top_p: { offset: 8, type: "f32", count: 1 },
    min_p: { offset: 12, type: "f32", count: 1 },
    typical_p: { offset: 16, type: "f32", count: 1 },
    repeat_penalty: { offset: 20, type: "f32", count: 1 },
    presence_penalty: { offset: 24, type: "f32", count: 1 },
    frequency_penalty: { offset: 28, type: "f32", count: 1 },
    penalty_tokens: { offset: 32, type: "u32", count: 1 },
    seed: { offset: 40, type: "u64", count: 1 },
  },
} as const;

export const chord_plan = {
  bytes: 160,
  fields: {
    model_bytes: { offset: 0, type: "u64", count: 1 },
    budget_bytes: { offset: 8, type: "u64", count: 1 },
    free_bytes: { offset: 16, type: "u64", count: 1 },
    budget_bytes_min: { offset: 24, type: "u64", count: 1 },
    context_tokens: { offset: 32, type: "u32", count: 1 },
    context_tokens_max: { offset: 36, type: "u32", count: 1 },
    resident_bytes: { offset: 40, type: "u64", count: 1 },
    window_bytes: { offset: 48, type: "u64", count: 1 },
    kv_bytes: { offset: 56, type: "u64", count: 1 },
    scratch_bytes: { offset: 64, type: "u64", count: 1 },
    fixed_bytes: { offset: 72, type: "u64", count: 1 },
    streamed_bytes_per_pass: { offset: 80, type: "u64", count: 1 },
    read_bytes_per_pass: { offset: 88, type: "u64", count: 1 },
    expert_bytes: { offset: 96, type: "u64", count: 1 },
    expert_cache_bytes: { offset: 104, type: "u64", count: 1 },
    expert_bytes_per_token: { offset: 112, type: "u64", count: 1 },
    requantized_bytes: { offset: 120, type: "u64", count: 1 },
    requantized_file_bytes: { offset: 128, type: "u64", count: 1 },
    chunk_tokens: { offset: 136, type: "u32", count: 1 },
    tiles: { offset: 140, type: "u32", count: 1 },
    tiles_pinned: { offset: 144, type: "u32", count: 1 },
    ring_slots: { offset: 148, type: "u32", count: 1 },
    mapped: { offset: 152, type: "bool", count: 1 },
    fits: { offset: 153, type: "bool", count: 1 },
    packed: { offset: 154, type: "bool", count: 1 },
  },
} as const;

export const chord_stats = {
  bytes: 216,
  fields: {
    budget_bytes: { offset: 0, type: "u64", count: 1 },
    peak_bytes: { offset: 8, type: "u64", count: 1 },
    resident_bytes: { offset: 16, type: "u64", count: 1 },
    window_bytes: { offset: 24, type: "u64", count: 1 },
    kv_bytes: { offset: 32, type: "u64", count: 1 },
    scratch_bytes: { offset: 40, type: "u64", count: 1 },
    bytes_read: { offset: 48, type: "u64", count: 1 },
    hits: { offset: 56, type: "u64", count: 1 },
    misses: { offset: 64, type: "u64", count: 1 },
    evictions: { offset: 72, type: "u64", count: 1 },
    prefetched_used: { offset: 80, type: "u64", count: 1 },
    prefetched_late: { offset: 88, type: "u64", count: 1 },
    prefetched_wasted: { offset: 96, type: "u64", count: 1 },
    read_ns: { offset: 104, type: "u64", count: 1 },
    stall_ns: { offset: 112, type: "u64", count: 1 },
    prompt_tokens: { offset: 120, type: "u64", count: 1 },
    reused_tokens: { offset: 128, type: "u64", count: 1 },
    output_tokens: { offset: 136, type: "u64", count: 1 },
    prefill_ns: { offset: 144, type: "u64", count: 1 },
    decode_ns: { offset: 152, type: "u64", count: 1 },
    passes: { offset: 160, type: "u64", count: 1 },
    drafted_tokens: { offset: 168, type: "u64", count: 1 },
    accepted_tokens: { offset: 176, type: "u64", count: 1 },
    draft_passes: { offset: 184, type: "u64", count: 1 },
    draft_accepted_tokens: { offset: 192, type: "u64", count: 1 },
    mask_ns: { offset: 200, type: "u64", count: 1 },
    mapped: { offset: 208, type: "bool", count: 1 },
  },
} as const;

export const chord_generate_result = {
  bytes: 16,
  fields: {
    stop_reason: { offset: 0, type: "u32", count: 1 },
    tokens: { offset: 4, type: "u32", count: 1 },
    logits_hash: { offset: 8, type: "u64", count: 1 },
  },
} as const;

export const chord_host_tensor = {
  bytes: 184,
  fields: {
    offset: { offset: 0, type: "u64", count: 1 },
    bytes: { offset: 8, type: "u64", count: 1 },
    dims: { offset: 16, type: "u64", count: 4 },
    type: { offset: 48, type: "u32", count: 1 },
    file: { offset: 52, type: "u32", count: 1 },
    name: { offset: 56, type: "text", count: 128 },
  },
} as const;

export const chord_host_rows = {
  bytes: 72,
  fields: {
    weights: { offset: 0, type: "u64", count: 1 },
    acts: { offset: 8, type: "u64", count: 1 },
    out: { offset: 16, type: "u64", count: 1 },
    x: { offset: 24, type: "u64", count: 1 },
    out_stride: { offset: 32, type: "u64", count: 1 },
    type: { offset: 40, type: "u32", count: 1 },
    columns: { offset: 44, type: "u32", count: 1 },
    rows: { offset: 48, type: "u32", count: 1 },
    packed: { offset: 52, type: "u32", count: 1 },
    act_kind: { offset: 56, type: "u32", count: 1 },
    tokens: { offset: 60, type: "u32", count: 1 },
    tokens_max: { offset: 64, type: "u32", count: 1 },
    bank: { offset: 68, type: "u32", count: 1 },
  },
} as const;

export const chord_host_progress = {
  bytes: 40,
  fields: {
    done: { offset: 0, type: "u64", count: 1 },
    total: { offset: 8, type: "u64", count: 1 },
    bytes_read: { offset: 16, type: "u64", count: 1 },
    stall_ns: { offset: 24, type: "u64", count: 1 },
    phase: { offset: 32, type: "u32", count: 1 },
    reserved: { offset: 36, type: "u32", count: 1 },
  },
} as const;

export const chord_guest_runtime_options = {
  bytes: 32,
  fields: {
    budget_bytes: { offset: 0, type: "u64", count: 1 },
    threads: { offset: 8, type: "u32", count: 1 },
    cpu: { offset: 12, type: "text", count: 20 },
  },
} as const;

export const chord_guest_model_options = {
  bytes: 80,
  fields: {
    vocabulary_of: { offset: 0, type: "u64", count: 1 },
    draft: { offset: 8, type: "u64", count: 1 },
    share_bytes: { offset: 16, type: "u64", count: 1 },
    context_tokens: { offset: 24, type: "u32", count: 1 },
    sessions_max: { offset: 28, type: "u32", count: 1 },
    shared_tokens: { offset: 32, type: "u32", count: 1 },
    chunk_tokens: { offset: 36, type: "u32", count: 1 },
    prefetch_tiles: { offset: 40, type: "u32", count: 1 },
    kv_type: { offset: 44, type: "u32", count: 1 },
    policy: { offset: 48, type: "u32", count: 1 },
    mode: { offset: 52, type: "u32", count: 1 },
    no_prefetch: { offset: 56, type: "u32", count: 1 },
    no_repack: { offset: 60, type: "u32", count: 1 },
    no_vocabulary: { offset: 64, type: "u32", count: 1 },
    no_weights: { offset: 68, type: "u32", count: 1 },
    drafts: { offset: 72, type: "u32", count: 1 },
    arriving: { offset: 76, type: "u32", count: 1 },
  },
} as const;

export const chord_guest_model_info = {
  bytes: 400,
  fields: {
    parameters: { offset: 0, type: "u64", count: 1 },
    file_bytes: { offset: 8, type: "u64", count: 1 },
    layers: { offset: 16, type: "u32", count: 1 },
    embedding: { offset: 20, type: "u32", count: 1 },
    heads: { offset: 24, type: "u32", count: 1 },
    kv_heads: { offset: 28, type: "u32", count: 1 },
    vocabulary: { offset: 32, type: "u32", count: 1 },
    trained_context_tokens: { offset: 36, type: "u32", count: 1 },
    context_tokens: { offset: 40, type: "u32", count: 1 },
    has_chat_template: { offset: 44, type: "u32", count: 1 },
    architecture: { offset: 48, type: "text", count: 64 },
    name: { offset: 112, type: "text", count: 128 },
    plan: { offset: 240, type: "chord_plan", count: 1 },
  },
} as const;

export const chord_guest_generate_options = {
  bytes: 72,
  fields: {
    sampling: { offset: 0, type: "chord_sampling", count: 1 },
    max_tokens: { offset: 48, type: "u32", count: 1 },
    ignore_end: { offset: 52, type: "u32", count: 1 },
    want_logprobs: { offset: 56, type: "u32", count: 1 },
    stops_bytes: { offset: 60, type: "u32", count: 1 },
    draft_tokens: { offset: 64, type: "u32", count: 1 },
    reserved: { offset: 68, type: "u32", count: 1 },
  },
} as const;

export const chord_guest_piece = {
  bytes: 32,
  fields: {
    text: { offset: 0, type: "u64", count: 1 },
    len: { offset: 8, type: "u64", count: 1 },
    token: { offset: 16, type: "i32", count: 1 },
    logprob: { offset: 20, type: "f32", count: 1 },
    more: { offset: 24, type: "u32", count: 1 },
    reserved: { offset: 28, type: "u32", count: 1 },
  },
} as const;

export const chord_guest_step = {
  bytes: 432,
  fields: {
    session: { offset: 0, type: "u64", count: 1 },
    piece: { offset: 8, type: "chord_guest_piece", count: 1 },
    over: { offset: 40, type: "u32", count: 1 },
    status: { offset: 44, type: "u32", count: 1 },
    error: { offset: 48, type: "chord_error", count: 1 },
  },
} as const;

export const STRUCTS = { chord_error, chord_sampling, chord_plan, chord_stats, chord_generate_result, chord_host_tensor, chord_host_rows, chord_host_progress, chord_guest_runtime_options, chord_guest_model_options, chord_guest_model_info, chord_guest_generate_options, chord_guest_piece, chord_guest_step } as const;
