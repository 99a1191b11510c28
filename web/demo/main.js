// main.js - the demo page of wasm-chord: a chat with a model that runs in this tab.
import { inTab } from "./engine.js";
import { sizeText } from "./page.js";
import { preparePicker } from "./picker.js";
import { prepareSettings } from "./settings.js";
import { chat } from "./shell.js";
/** @import { Engine } from "wasm-chord" */

const MISSING = "Choose a model first.";
/** @type {Engine | null} */
let engine = null;

function close() {
  chat.use(null, MISSING);
  engine?.close();
}
/** @param {Engine} loaded */
function use(loaded) {
  engine = loaded;
  chat.use(inTab(loaded), `${loaded.name}: ${sizeText(loaded.info.fileBytes)}, ${loaded.info.threads} threads`);
}

/** Keeps the page for visits without a network, and isolates it on servers that cannot: then it is loaded once more. */
async function startServiceWorker() {
  if (!("serviceWorker" in navigator)) return;
  const { serviceWorker } = navigator;
  serviceWorker.addEventListener("controllerchange", () => globalThis.crossOriginIsolated || location.reload());
  await serviceWorker.register("sw.js");
}

chat.use(null, MISSING);
prepareSettings();
preparePicker(close, use);
void startServiceWorker();
