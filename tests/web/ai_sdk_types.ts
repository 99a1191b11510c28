// Compiled, never run: what chord() gives is a model of the AI SDK.
import type { LanguageModelV3 } from "@ai-sdk/provider";
import type { Engine } from "./dist/index.js";
import { chord } from "./dist/ai_sdk.js";

export const model = (engine: Engine): LanguageModelV3 => chord(engine);
