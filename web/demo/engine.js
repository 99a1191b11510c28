// engine.js - answers by the engine in this tab.
import { rateText, shareText, sizeText } from "./page.js";
/** @import { ChatCompletionChunk, Engine } from "wasm-chord" */
/** @import { Backend } from "./types.js" */

/** @param {number} tokens @param {NonNullable<ChatCompletionChunk["wasm_chord"]>} extra */
function finalText(tokens, { decode_ms, bytes_read, stall_ms, prefill_ms, memory_bytes }) {
  return [rateText(tokens, decode_ms), `read ${sizeText(bytes_read)}`, `waited for storage ${shareText(stall_ms, prefill_ms + decode_ms)}`, `memory ${sizeText(memory_bytes)}`].join(" · ");
}

/** @param {Engine} engine @returns {Backend} */
export function inTab(engine) {
  return {
    async answer(question, signal, tell) {
      let tokens = 0;
      /** @param {{ phase: string, done: number, total: number }} progress */
      const onProgress = ({ phase, done, total }) => {
        if (phase === "prefill") tell({ note: `Reading the question: ${done} of ${total}` });
      };
      for await (const { choices: [choice], wasm_chord: extra } of await engine.chat.completions.create({ ...question, stream: true }, { signal, onProgress })) {
        const text = choice?.delta.content;
        if (text) tokens++, tell({ text });
        if (extra !== undefined) tell({ statistics: finalText(tokens, extra), note: choice?.finish_reason === "length" ? "It ends at the most tokens, or where the context is full." : "" });
      }
    },
  };
}
