// ai_sdk.ts - a model for Vercel's AI SDK (LanguageModelV3: its version 6 and later), without depending on it:
//
//   import { chord } from "wasm-chord/ai-sdk";
//   const { textStream } = streamText({ model: chord(engine), prompt: "Why is the sky blue?" });
import { ChordError } from "./errors.js";
import type { Engine, RequestOptions } from "./engine.js";
import type { ChatCompletionChunk, ChatCompletionParams, ChatMessage, FinishReason, Usage } from "./openai.js";

interface Part {
  type: string;
  text?: string;
}
interface CallOptions {
  prompt: readonly { role: string; content: string | readonly Part[] }[];
  maxOutputTokens?: number;
  temperature?: number;
  stopSequences?: readonly string[];
  topP?: number;
  topK?: number;
  presencePenalty?: number;
  frequencyPenalty?: number;
  seed?: number;
  responseFormat?: { type: string };
  tools?: readonly unknown[];
  abortSignal?: AbortSignal;
}
type Warning = { type: "unsupported"; feature: string };
type StreamPart =
  | { type: "stream-start"; warnings: Warning[] }
  | { type: "text-start" | "text-end"; id: string }
  | { type: "text-delta"; id: string; delta: string }
  | { type: "finish"; usage: ReturnType<typeof usageOf>; finishReason: ReturnType<typeof finishOf> }
  | { type: "error"; error: unknown };

function messageOf({ role, content }: CallOptions["prompt"][number]): ChatMessage {
  if (typeof content === "string") return { role, content };
  const text = content.map((part) => {
    if (part.type !== "text" && part.type !== "reasoning") throw new ChordError("ERR_OPTION", `a message has a part of type '${part.type}': this model reads text only`);
    return part.type === "text" ? part.text ?? "" : "";
  });
  return { role, content: text.join("") };
}

function paramsOf(options: CallOptions): { params: ChatCompletionParams; request: RequestOptions; warnings: Warning[] } {
  const warnings: Warning[] = [];
  if (options.tools !== undefined && options.tools.length > 0) warnings.push({ type: "unsupported", feature: "tools" });
  if (options.responseFormat?.type === "json") warnings.push({ type: "unsupported", feature: "responseFormat" });
  const { maxOutputTokens, temperature, topP, topK, presencePenalty, frequencyPenalty, seed, stopSequences, abortSignal } = options;
  const params: ChatCompletionParams = {
    messages: options.prompt.map(messageOf), max_tokens: maxOutputTokens ?? null, temperature: temperature ?? null, top_p: topP ?? null, top_k: topK ?? null,
    presence_penalty: presencePenalty ?? null, frequency_penalty: frequencyPenalty ?? null, seed: seed ?? null, stop: stopSequences ?? null,
  };
  return { params, request: abortSignal ? { signal: abortSignal } : {}, warnings };
}

function usageOf({ prompt_tokens, completion_tokens, prompt_tokens_details: { cached_tokens } }: Usage) {
  return {
    inputTokens: { total: prompt_tokens, noCache: prompt_tokens - cached_tokens, cacheRead: cached_tokens, cacheWrite: undefined },
    outputTokens: { total: completion_tokens, text: completion_tokens, reasoning: undefined },
  };
}
const finishOf = (reason: FinishReason) => ({ unified: reason, raw: reason });

async function* partsOf(chunks: AsyncIterable<ChatCompletionChunk>, warnings: Warning[]): AsyncGenerator<StreamPart> {
  const id = "text";
  let finish: FinishReason = "length", usage: Usage | null = null;
  yield { type: "stream-start", warnings };
  yield { type: "text-start", id };
  for await (const chunk of chunks) {
    const choice = chunk.choices[0];
    if (choice?.delta.content) yield { type: "text-delta", id, delta: choice.delta.content };
    finish = choice?.finish_reason ?? finish;
    usage = chunk.usage ?? usage;
  }
  yield { type: "text-end", id };
  yield { type: "finish", usage: usageOf(usage!), finishReason: finishOf(finish) };
}

/** The engine's model, for generateText() and streamText(). */
export function chord(engine: Engine) {
  return {
    specificationVersion: "v3" as const,
    provider: "wasm-chord",
    modelId: engine.name,
    supportedUrls: {},
    async doGenerate(options: CallOptions) {
      const { params, request, warnings } = paramsOf(options), made = await engine.chat.completions.create({ ...params, stream: false }, request), [choice] = made.choices;
      return { content: [{ type: "text" as const, text: choice.message.content }], finishReason: finishOf(choice.finish_reason), usage: usageOf(made.usage), warnings };
    },
    async doStream(options: CallOptions) {
      const { params, request, warnings } = paramsOf(options);
      const parts = partsOf(await engine.chat.completions.create({ ...params, stream: true, stream_options: { include_usage: true } }, request), warnings);
      const stream = new ReadableStream<StreamPart>({
        async pull(controller) {
          try {
            const { done, value } = await parts.next();
            if (done) controller.close();
            else controller.enqueue(value);
          } catch (error) {
            controller.enqueue({ type: "error", error });
            controller.close();
          }
        },
        async cancel() {
          await parts.return(undefined);
        },
      });
      return { stream };
    },
  };
}
