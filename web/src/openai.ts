// openai.ts - requests and answers in the shape of OpenAI's API, as far as this package has them. What it does not have is an error, not ignored.
import { checkKeys, ChordError } from "./errors.js";
import type { GenerateOptions } from "./guest/guest.js";
import type { GenerateAnswer, Prompt } from "./worker/engine.js";

export interface TextPart {
  type: "text";
  text: string;
}
export interface ChatMessage {
  role: "system" | "developer" | "user" | "assistant" | "tool" | (string & {});
  content?: string | readonly TextPart[] | null;
  name?: string;
  tool_calls?: readonly unknown[];
  tool_call_id?: string;
}

/** Sampling: OpenAI's names first, then those of llama.cpp. */
export interface SamplingParams {
  /** Most tokens to make; as many as the context holds when left out. */
  max_tokens?: number | null;
  max_completion_tokens?: number | null;
  /** 0: the likeliest token always. Default 0.7. */
  temperature?: number | null;
  top_p?: number | null;
  /** The same seed, the same text. Left out: another one each time. */
  seed?: number | null;
  stop?: string | readonly string[] | null;
  presence_penalty?: number | null;
  frequency_penalty?: number | null;
  top_k?: number | null;
  min_p?: number | null;
  typical_p?: number | null;
  repeat_penalty?: number | null;
  /** How far back penalties look. */
  repeat_last_n?: number | null;
  ignore_eos?: boolean | null;
  /** Most tokens guessed ahead for one pass: changes the time only. */
  draft_max?: number | null;
}
interface CommonParams extends SamplingParams {
  /** Any name: the engine has one model. */
  model?: string;
  stream?: boolean | null;
  stream_options?: { include_usage?: boolean } | null;
  n?: number | null;
  user?: string;
}
export interface ChatCompletionParams extends CommonParams {
  messages: readonly ChatMessage[];
  /** For the chat template. */
  tools?: readonly unknown[];
  logprobs?: boolean | null;
  /** More variables for the chat template, such as `enable_thinking`. */
  chat_template_kwargs?: Record<string, unknown>;
}
export interface CompletionParams extends CommonParams {
  prompt: string | readonly number[];
  /** true or 0: each token's own; alternatives are not given. */
  logprobs?: number | boolean | null;
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details: { cached_tokens: number };
}
export type FinishReason = "stop" | "length";
/** What this package says beside OpenAI's fields. */
export interface Extra {
  /** The same on every machine and host for the same model, prompt and options. */
  logits_hash: string;
  prefill_ms: number;
  decode_ms: number;
  /** Read from storage, and the time in which the model stood still for it. */
  bytes_read: number;
  stall_ms: number;
  passes: number;
  /** The most that the model, its caches and its arithmetic took. */
  memory_bytes: number;
}
export interface TokenLogprob {
  token: string;
  logprob: number;
}
export interface ChatCompletion {
  id: string;
  object: "chat.completion";
  created: number;
  model: string;
  choices: [{ index: 0; message: { role: "assistant"; content: string; refusal: null }; logprobs: { content: TokenLogprob[]; refusal: null } | null; finish_reason: FinishReason }];
  usage: Usage;
  wasm_chord: Extra;
}
export interface ChatCompletionChunk {
  id: string;
  object: "chat.completion.chunk";
  created: number;
  model: string;
  choices: { index: 0; delta: { role?: "assistant"; content?: string }; logprobs: { content: TokenLogprob[]; refusal: null } | null; finish_reason: FinishReason | null }[];
  usage?: Usage | null;
  wasm_chord?: Extra;
}
export interface Completion {
  id: string;
  object: "text_completion";
  created: number;
  model: string;
  choices: { index: 0; text: string; logprobs: { tokens: string[]; token_logprobs: number[] } | null; finish_reason: FinishReason | null }[];
  usage?: Usage | null;
  wasm_chord?: Extra;
}

const SAMPLING_KEYS = [
  "max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "stop", "presence_penalty", "frequency_penalty", "top_k", "min_p", "typical_p",
  "repeat_penalty", "repeat_last_n", "ignore_eos", "draft_max",
];
const COMMON_KEYS = [...SAMPLING_KEYS, "model", "stream", "stream_options", "n", "user"];
const CHAT_KEYS = [...COMMON_KEYS, "messages", "tools", "logprobs", "chat_template_kwargs"];
const COMPLETION_KEYS = [...COMMON_KEYS, "prompt", "logprobs"];
const TEMPERATURE = 0.7;
const DRAFT_TOKENS = 8;

const bad = (sentence: string): never => {
  throw new ChordError("ERR_OPTION", sentence);
};

/** A number in a range, or what stands for it when it is left out. */
function number(name: string, value: number | null | undefined, least: number, most: number, otherwise: number, whole = false): number {
  if (value === undefined || value === null) return otherwise;
  if (typeof value !== "number" || !(value >= least && value <= most) || (whole && !Number.isInteger(value)))
    bad(`${name} is ${String(value)}: it must be a ${whole ? "whole " : ""}number from ${least} to ${most}`);
  return value;
}
const whole = (name: string, value: number | null | undefined, most: number, otherwise: number): number => number(name, value, 0, most, otherwise, true);

function stopsOf(stop: string | readonly string[] | null | undefined): readonly string[] {
  const stops = typeof stop === "string" ? [stop] : stop ?? [];
  if (!Array.isArray(stops) || !stops.every((text) => typeof text === "string" && text !== "")) bad("stop takes a text, or a list of texts that are not empty");
  return stops;
}

function seedOf(seed: number | null | undefined): bigint {
  if (seed === undefined || seed === null) return crypto.getRandomValues(new BigUint64Array(1))[0]!;
  return BigInt(number("seed", seed, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, 0, true)) & 0xffffffffffffffffn;
}

function generateOptions(p: CommonParams & { logprobs?: number | boolean | null }): GenerateOptions {
  const U32 = 0xffffffff;
  return {
    max_tokens: whole("max_tokens", p.max_completion_tokens ?? p.max_tokens, U32, 0),
    ignore_end: p.ignore_eos ? 1 : 0,
    want_logprobs: p.logprobs !== undefined && p.logprobs !== null && p.logprobs !== false ? 1 : 0,
    draft_tokens: whole("draft_max", p.draft_max, 64, DRAFT_TOKENS),
    sampling: {
      temperature: number("temperature", p.temperature, 0, 100, TEMPERATURE),
      top_k: whole("top_k", p.top_k, U32, 0),
      top_p: number("top_p", p.top_p, 0, 1, 0),
      min_p: number("min_p", p.min_p, 0, 1, 0),
      typical_p: number("typical_p", p.typical_p, 0, 1, 0),
      repeat_penalty: number("repeat_penalty", p.repeat_penalty, 0, 100, 0),
      presence_penalty: number("presence_penalty", p.presence_penalty, -100, 100, 0),
      frequency_penalty: number("frequency_penalty", p.frequency_penalty, -100, 100, 0),
      penalty_tokens: whole("repeat_last_n", p.repeat_last_n, U32, 0),
      seed: seedOf(p.seed),
    },
  };
}

export interface Wanted {
  prompt: Prompt;
  options: GenerateOptions;
  stops: readonly string[];
  model: string | undefined;
  stream: boolean;
  withUsage: boolean;
}

function common(p: CommonParams & { logprobs?: number | boolean | null }): Omit<Wanted, "prompt"> {
  if (typeof p.logprobs === "number" && p.logprobs !== 0) bad(`logprobs is ${p.logprobs}: the tokens' own are given (true, or 0), no alternatives`);
  if (p.n !== undefined && p.n !== null && p.n !== 1) bad(`n is ${p.n}: ask several times instead, their passes are shared`);
  if (p.stream_options) checkKeys(p.stream_options, ["include_usage"], "stream_options");
  return {
    options: generateOptions(p), stops: stopsOf(p.stop), model: p.model, stream: p.stream === true, withUsage: p.stream_options?.include_usage === true,
  };
}

function contentOf(message: ChatMessage): string | null {
  const { content } = message;
  if (content === undefined || content === null || typeof content === "string") return content ?? null;
  if (!Array.isArray(content)) bad(`content of a message is ${typeof content}: it must be a text or a list of parts`);
  return content.map((part: TextPart) => (part.type === "text" ? part.text : bad(`a part of a message is '${part.type}': this model reads text only`))).join("");
}

export function wantedOfChat(params: ChatCompletionParams): Wanted {
  checkKeys(params, CHAT_KEYS, "chat.completions");
  if (!Array.isArray(params.messages) || params.messages.length === 0) bad("messages must be a list with at least one message");
  const messages = params.messages.map((message: ChatMessage) => ({ ...message, content: contentOf(message) }));
  const { tools, chat_template_kwargs: variables } = params;
  return { ...common(params), prompt: { messages, ...(tools && { tools }), ...(variables && { variables }) } };
}

export function wantedOfCompletion(params: CompletionParams): Wanted {
  checkKeys(params, COMPLETION_KEYS, "completions");
  const { prompt } = params;
  if (typeof prompt === "string") return { ...common(params), prompt: { text: prompt } };
  if (!Array.isArray(prompt) || !prompt.every((id) => Number.isInteger(id))) bad("prompt must be a text or a list of token ids");
  return { ...common(params), prompt: { tokens: prompt } };
}

// ---- answers ----

/** What all chunks of an answer have in common. */
export interface Head {
  id: string;
  created: number;
  model: string;
}
export const newHead = (kind: "chatcmpl" | "cmpl", model: string): Head => ({ id: `${kind}-${crypto.randomUUID()}`, created: Math.floor(Date.now() / 1000), model });

export function usageOf({ promptTokens, tokens, reusedTokens }: GenerateAnswer): Usage {
  return { prompt_tokens: promptTokens, completion_tokens: tokens, total_tokens: promptTokens + tokens, prompt_tokens_details: { cached_tokens: reusedTokens } };
}
export function extraOf({ logitsHash, stats }: GenerateAnswer): Extra {
  return {
    logits_hash: logitsHash, prefill_ms: stats.prefillNs / 1e6, decode_ms: stats.decodeNs / 1e6, bytes_read: stats.bytesRead, stall_ms: stats.stallNs / 1e6, passes: stats.passes, memory_bytes: stats.peakBytes,
  };
}
export const finishOf = ({ stopReason }: GenerateAnswer): FinishReason => (stopReason === "END" || stopReason === "TEXT" ? "stop" : "length");
