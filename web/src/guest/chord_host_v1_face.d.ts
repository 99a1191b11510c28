// Made by scripts/make-constants from include/chord_host_v1.h. Do not edit.
//
// P: an address or a size of the guest, number in a wasm32 module, bigint in a wasm64 one.

/** What a host offers: the imports of module chord_host_v1. */
export interface HostImports<P extends number | bigint> {
  version(): number;
  clock_ns(): bigint;
  clock_unix_s(): bigint;
  log(level: number, text: P, len: P): void;
  error_text(to: P, cap: P): P;
  cancelled(): number;
  emit(text: P, len: P): number;
  progress(progress: P): void;
  past_write(from: P, len: P): number;
  past_read(to: P, len: P): number;
  memory_limit(): bigint;
  file_open(name: P, len: P): number;
  file_name(file: number, to: P, cap: P): number;
  file_size(file: number): bigint;
  file_align(file: number): number;
  file_read(file: number, offset: bigint, to: P, len: P): number;
  file_fetch(file: number, offset: bigint, len: P, slot: P, slot_bytes: P): bigint;
  file_prefetch(file: number, offset: bigint, len: bigint): number;
  file_map(file: number, offset: bigint, len: bigint, window: P, window_bytes: P): bigint;
  file_unmap(window: P, window_bytes: P): number;
  tensor_count(file: number): bigint;
  tensor_at(file: number, index: bigint, out: P): number;
  window_skew(): number;
  bank_limit(): bigint;
  bank_kind(): number;
  bank_open(bytes: P): number;
  bank_show(bank: number, window: P): number;
  bank_read(bank: number, at: P, to: P, len: P): number;
  bank_write(bank: number, at: P, from: P, len: P): number;
  bank_close(bank: number): number;
  thread_limit(): number;
  thread_start(start: P): number;
  thread_join(thread: number): number;
  wait(at: P, expected: number, timeout_ns: bigint): number;
  wake(at: P, count: number): number;
  rows_offered(): number;
  rows(job: P): number;
}

/** What a guest exports. */
export interface GuestExports<P extends number | bigint> {
  guest_version(): number;
  guest_alloc(bytes: P): P;
  guest_free(block: P): void;
  guest_error(out: P): void;
  guest_runtime_open(options: P, out: P): number;
  guest_runtime_close(runtime: P): void;
  guest_runtime_threads(runtime: P): number;
  guest_model_plan(runtime: P, options: P, out: P): number;
  guest_model_open(runtime: P, options: P, out: P): number;
  guest_model_close(model: P): void;
  guest_model_describe(model: P, out: P): void;
  guest_tokenize(model: P, text: P, len: P, mode: number, out: P, cap: P, need: P): number;
  guest_detokenize(model: P, tokens: P, n: P, special: number, out: P, cap: P, need: P): number;
  guest_chat_render(model: P, template_text: P, messages: P, len: P, open_reply: number, out: P, cap: P, need: P): number;
  guest_session_open(model: P, out: P): number;
  guest_session_close(session: P): void;
  guest_session_reset(session: P): void;
  guest_session_sync(session: P, tokens: P, n: P, reused: P): number;
  guest_session_feed(session: P, tokens: P, n: P, reused: P): number;
  guest_session_copy(to: P, from: P): number;
  guest_session_saved_bytes(session: P, out: P): number;
  guest_session_save(session: P): number;
  guest_session_load(session: P): number;
  guest_sessions_step(steps: P, count: P): number;
  guest_session_score(session: P, tokens: P, n: P, first: P, logprobs: P): number;
  guest_session_stats(session: P, out: P): void;
  guest_session_stats_reset(session: P): void;
  guest_generate_start(session: P, options: P, stops: P): number;
  guest_generate_next(session: P, out: P): number;
  guest_generate_result(session: P, out: P): void;
  guest_cancel(session: P): void;
}
