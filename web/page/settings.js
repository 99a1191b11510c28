// settings.js - what is asked of every answer, kept in this browser.
import { byId, make } from "./page.js";
/** @import { Message, Question, Settings } from "./types.js" */

const KEY = "chord:settings";
const NUMBERS = /** @type {const} */ (["temperature", "top_p", "max_tokens", "seed"]);
const dialog = byId("settings", HTMLDialogElement), system = byId("system", HTMLTextAreaElement), more = byId("more", HTMLDivElement), saidOf = byId("settings-said", HTMLParagraphElement);
const inputs = NUMBERS.map((name) => ({ name, input: byId(name, HTMLInputElement) }));

/** @returns {Settings} */
function read() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "{}"), numbers = NUMBERS.filter((name) => Number.isFinite(found[name])).map((name) => [name, found[name]]);
    return { system: String(found.system ?? ""), ...Object.fromEntries(numbers) };
  } catch {
    return {};
  }
}
let settings = read();

// ---- what is asked ----

/** Templates want turns: what was asked twice without an answer between is one question. @param {Message[]} messages */
function turnsOf(messages) {
  /** @type {Question["messages"]} */
  const turns = [];
  for (const { role, content } of messages) {
    const last = turns.at(-1);
    if (last?.role === role) last.content += `\n\n${content}`;
    else turns.push({ role, content });
  }
  return turns;
}
/** @param {Message[]} messages @returns {Question} */
export function questionOf(messages) {
  const { system: first, seed: _, ...sampling } = settings, turns = turnsOf(messages);
  if (first) turns.unshift({ role: "system", content: first });
  return { messages: turns, ...sampling, seed: messages.at(-1)?.seed ?? newSeed() };
}

const SEEDS = 2 ** 32; // the page chooses, so that it can ask for another one, and tell which it was
export const newSeed = () => settings.seed ?? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
/** @param {number | undefined} seed */
export const otherSeed = (seed) => (seed === undefined ? newSeed() : (seed + 1) % SEEDS);
/** Whether another seed is another answer. */
export const isDrawn = () => settings.temperature !== 0;

// ---- the dialog ----

let onFill = () => {};
function fill() {
  onFill();
  system.value = settings.system ?? "";
  for (const { name, input } of inputs) input.value = String(settings[name] ?? "");
}
function take() {
  settings = { system: system.value.trim() };
  for (const { name, input } of inputs) if (input.value !== "") settings[name] = input.valueAsNumber;
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // they count until the page is closed
  }
}

/** A sentence says why; then what is wanted can be given. @param {string} [sentence] @param {HTMLElement} [field] */
export function openSettings(sentence = "", field) {
  saidOf.textContent = sentence;
  if (!dialog.open) fill(), dialog.showModal();
  field?.focus();
}
/** Called once; a backend has fields of its own to fill and to take. @param {{ onOpen?: () => void, onSave?: () => void }} [own] */
export function prepareSettings({ onOpen = () => {}, onSave = () => {} } = {}) {
  onFill = onOpen;
  byId("set", HTMLButtonElement).addEventListener("click", () => openSettings());
  byId("setting", HTMLFormElement).addEventListener("submit", (event) => {
    if (/** @type {HTMLButtonElement | null} */ (event.submitter)?.value === "close") return;
    take();
    onSave();
  });
}
/** What is taken where nothing is set. @param {Settings} defaults */
export function showDefaults(defaults) {
  for (const { name, input } of inputs) input.placeholder = defaults[name] === undefined ? "" : String(Number(defaults[name].toPrecision(6))); // a server's may be of 32 bits
}
/** A field of the backend's own. @param {string} id @param {string} label @param {"text" | "password"} type */
export function addField(id, label, type) {
  const input = make("input"), title = make("label", label);
  input.id = title.htmlFor = id;
  input.type = type;
  input.autocomplete = "off";
  more.append(title, input);
  return input;
}
/** @param {...(Node | string)} children */
export const addParagraph = (...children) => more.append(make("p", ...children));
