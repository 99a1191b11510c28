// picker.ts - choosing a model: by URL or name, a file, or what the browser has; how much memory it gets, and what that buys.
import { cache, load, plan, support, type Engine, type LoadProgress, type Plan, type Source } from "wasm-chord";
import { button, byId, sentenceOf, sizeText } from "./page.js";

const PLAN_WAIT_MS = 300;
const dialog = byId<HTMLDialogElement>("picker"), source = byId<HTMLInputElement>("source"), file = byId<HTMLInputElement>("file");
const memory = byId<HTMLInputElement>("memory"), memoryText = byId("memory-text"), planText = byId("plan"), progress = byId("progress"), loadButton = byId<HTMLButtonElement>("load");

const memoryBytes = (): number => Math.round(2 ** Number(memory.value)) * 2 ** 20;
const chosen = (): Source | null => (file.files !== null && file.files.length > 0 ? (file.files.length === 1 ? file.files[0]! : [...file.files]) : source.value.trim() || null);

// ---- the plan, while one chooses ----

function sentencesOf({ fits, modelBytes, residentBytes, streamedBytesPerPass, kvBytes, budgetBytesMin }: Plan): string {
  if (!fits) return `The model of ${sizeText(modelBytes)} needs at least ${sizeText(budgetBytesMin)} of memory.`;
  const stays = streamedBytesPerPass === 0 ? `All of ${sizeText(modelBytes)} stays in memory.` : `${sizeText(residentBytes)} of ${sizeText(modelBytes)} stay in memory, ${sizeText(streamedBytesPerPass)} are read for each token.`;
  return `${stays}\nThe conversation takes ${sizeText(kvBytes)}; ${sizeText(budgetBytesMin)} would be the least.`;
}

let planTimer = 0, planning = new AbortController();
async function showPlan(): Promise<void> {
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
function planSoon(): void {
  memoryText.textContent = sizeText(memoryBytes());
  clearTimeout(planTimer);
  planTimer = window.setTimeout(() => void showPlan(), PLAN_WAIT_MS);
}

// ---- what the browser has ----

function use(url: string): void {
  file.value = "";
  source.value = url;
  planSoon();
}
async function showCached(): Promise<void> {
  const models = await cache.list().catch(() => []);
  byId("cached").replaceChildren(...models.map(({ url, name, size, loaded, complete }) => {
    const item = document.createElement("li"), part = complete ? "" : `, ${Math.floor((100 * loaded) / size)} % of it`;
    const remove = async (): Promise<void> => {
      await cache.delete(url).catch((error: unknown) => (progress.textContent = sentenceOf(error)));
      await showCached();
    };
    item.append(button(`${name} (${sizeText(size)}${part})`, `Use ${name}`, () => use(url)), button("Delete", `Delete ${name}`, () => void remove()));
    return item;
  }));
  byId("cached-title").hidden = models.length === 0;
}

// ---- loading ----

let loading: AbortController | null = null;
async function start(from: Source, onEngine: (engine: Engine) => void): Promise<void> {
  loading = new AbortController();
  loadButton.disabled = true;
  const onProgress = ({ text }: LoadProgress): void => void (progress.textContent = text);
  try {
    const engine = await load(from, { memory: memoryBytes(), signal: loading.signal, onProgress });
    engine.downloaded.then(() => (progress.textContent = ""), (error: unknown) => (progress.textContent = sentenceOf(error)));
    onEngine(engine);
    dialog.close();
  } catch (error) {
    progress.textContent = sentenceOf(error);
  } finally {
    loading = null;
    loadButton.disabled = false;
  }
}

/** Called once. onEngine: another model is to be used. */
export function preparePicker(beforeLoad: () => void, onEngine: (engine: Engine) => void): void {
  memory.value = localStorage.getItem("chord:memory") ?? "9.5";
  source.value = new URLSearchParams(location.search).get("model") ?? localStorage.getItem("chord:model") ?? "";
  for (const input of [memory, source]) input.addEventListener("input", planSoon);
  source.addEventListener("input", () => (file.value = ""));
  file.addEventListener("change", planSoon);
  byId("loading").addEventListener("submit", (event) => {
    if ((event as SubmitEvent).submitter?.id === "close") return loading?.abort();
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

export async function openPicker(): Promise<void> {
  dialog.showModal();
  planSoon();
  const [{ reasons }] = await Promise.all([support(), showCached()]);
  if (reasons.length > 0 && progress.textContent === "") progress.textContent = reasons.join("\n");
}
