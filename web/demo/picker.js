// picker.js - choosing a model: by URL or name, a file, or what the browser has; how much memory it gets, and what that buys.
import { cache, load, plan, support } from "wasm-chord";
import { button, byId, make, sentenceOf, sizeText } from "./page.js";
/** @import { Engine, LoadProgress, Plan, Source } from "wasm-chord" */

const PLAN_WAIT_MS = 300;
const dialog = byId("picker", HTMLDialogElement), source = byId("source", HTMLInputElement), file = byId("file", HTMLInputElement);
const memory = byId("memory", HTMLInputElement), memoryText = byId("memory-text", HTMLOutputElement), planText = byId("plan", HTMLParagraphElement);
const progress = byId("progress", HTMLParagraphElement), loadButton = byId("load", HTMLButtonElement);

const memoryBytes = () => Math.round(2 ** Number(memory.value)) * 2 ** 20;
/** @returns {Source | null} */
function chosen() {
  const [first, ...others] = file.files ?? [];
  return first === undefined ? source.value.trim() || null : others.length === 0 ? first : [first, ...others];
}

// ---- the plan, while one chooses ----

/** @param {Plan} plan */
function sentencesOf({ fits, modelBytes, residentBytes, streamedBytesPerPass, kvBytes, budgetBytesMin }) {
  if (!fits) return `The model of ${sizeText(modelBytes)} needs at least ${sizeText(budgetBytesMin)} of memory.`;
  const stays = streamedBytesPerPass === 0 ? `All of ${sizeText(modelBytes)} stays in memory.` : `${sizeText(residentBytes)} of ${sizeText(modelBytes)} stay in memory, ${sizeText(streamedBytesPerPass)} are read for each token.`;
  return `${stays}\nThe conversation takes ${sizeText(kvBytes)}; ${sizeText(budgetBytesMin)} would be the least.`;
}

let planTimer = 0, planning = new AbortController();
async function showPlan() {
  const from = chosen();
  planning.abort();
  planning = new AbortController();
  if (from === null) return;
  const { signal } = planning;
  try {
    const text = sentencesOf(await plan(from, { memory: memoryBytes(), signal }));
    if (!signal.aborted) planText.textContent = text;
  } catch (error) {
    if (!signal.aborted) planText.textContent = sentenceOf(error);
  }
}
function planSoon() {
  memoryText.textContent = sizeText(memoryBytes());
  clearTimeout(planTimer);
  planTimer = window.setTimeout(() => void showPlan(), PLAN_WAIT_MS);
}

// ---- what the browser has ----

/** @param {string} url */
function use(url) {
  file.value = "";
  source.value = url;
  planSoon();
}
async function showCached() {
  const models = await cache.list().catch(() => []);
  byId("cached", HTMLUListElement).replaceChildren(...models.map(({ url, name, size, loaded, complete }) => {
    const part = complete ? "" : `, ${Math.floor((100 * loaded) / size)} % of it`;
    const remove = async () => {
      await cache.delete(url).catch((error) => (progress.textContent = sentenceOf(error)));
      await showCached();
    };
    return make("li", button(`${name} (${sizeText(size)}${part})`, `Use ${name}`, () => use(url)), button("Delete", `Delete ${name}`, () => void remove()));
  }));
  byId("cached-title", HTMLHeadingElement).hidden = models.length === 0;
}

// ---- loading ----

/** @type {AbortController | null} */
let loading = null;
/** @param {Source} from @param {(engine: Engine) => void} onEngine */
async function start(from, onEngine) {
  loading = new AbortController();
  loadButton.disabled = true;
  /** @param {LoadProgress} now */
  const onProgress = ({ text }) => void (progress.textContent = text);
  try {
    const engine = await load(from, { memory: memoryBytes(), signal: loading.signal, onProgress });
    engine.downloaded.then(() => (progress.textContent = ""), (error) => (progress.textContent = sentenceOf(error)));
    onEngine(engine);
    dialog.close();
  } catch (error) {
    progress.textContent = sentenceOf(error);
  } finally {
    loading = null;
    loadButton.disabled = false;
  }
}

async function openPicker() {
  dialog.showModal();
  planSoon();
  const [{ reasons }] = await Promise.all([support(), showCached()]);
  if (reasons.length > 0 && progress.textContent === "") progress.textContent = reasons.join("\n");
}

/** Called once. onEngine: another model is to be used. @param {() => void} beforeLoad @param {(engine: Engine) => void} onEngine */
export function preparePicker(beforeLoad, onEngine) {
  const choose = button("Choose a model", "Choose a model", () => void openPicker());
  choose.id = "choose";
  byId("model", HTMLDivElement).append(choose);
  memory.value = localStorage.getItem("chord:memory") ?? "9.5";
  source.value = new URLSearchParams(location.search).get("model") ?? localStorage.getItem("chord:model") ?? "";
  for (const input of [memory, source]) input.addEventListener("input", planSoon);
  source.addEventListener("input", () => (file.value = ""));
  file.addEventListener("change", planSoon);
  byId("loading", HTMLFormElement).addEventListener("submit", (event) => {
    if (event.submitter?.id === "close") return loading?.abort();
    event.preventDefault();
    const from = chosen();
    if (from === null) return void (progress.textContent = "Name a model, or choose a file.");
    localStorage.setItem("chord:memory", memory.value);
    if (typeof from === "string") localStorage.setItem("chord:model", from);
    beforeLoad();
    void start(from, onEngine);
  });
  dialog.addEventListener("cancel", () => loading?.abort());
}
