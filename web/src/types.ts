// types.ts - what both entries export beside load().
export { ChordError, type ErrorCode } from "./errors.js";
export { Engine, type Chat, type Completions, type ModelInfo, type RequestOptions, type Session } from "./engine.js";
export type { ByteSource, CacheKind, LoadOptions, LoadProgress, Plan, Source } from "./load.js";
export type { ChatCompletion, ChatCompletionChunk, ChatCompletionParams, ChatMessage, Completion, CompletionParams, SamplingParams, Usage } from "./openai.js";
export { Stream } from "./stream.js";
