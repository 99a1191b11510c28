// main.js - the page of `chord serve`: connects with the server, and asks for a key and which model where there are such.
import { byId, make, sentenceOf } from "./page.js";
import { Server, ServerError } from "./server.js";
import { addField, addParagraph, openSettings, prepareSettings, showDefaults } from "./settings.js";
import { chat } from "./shell.js";

const KEY = "chord:key", MODEL = "chord:model-name", AGAIN_MS = 2000;
const server = new Server(), place = byId("model", HTMLDivElement), key = addField("key", "API key, where the server wants one", "password");

/** Where there are several. @param {string[]} names */
function chooseOf(names) {
  const choice = make("select", ...names.map((name) => make("option", name)));
  choice.setAttribute("aria-label", "Model");
  choice.value = server.model;
  choice.addEventListener("change", () => {
    server.model = choice.value;
    localStorage.setItem(MODEL, server.model);
  });
  return choice;
}

async function connect() {
  try {
    const names = await server.models(), before = localStorage.getItem(MODEL);
    server.model = before !== null && names.includes(before) ? before : names[0] ?? "";
    place.replaceChildren(names.length > 1 ? chooseOf(names) : server.model);
    chat.use(server, "");
    showDefaults(await server.defaults());
  } catch (error) {
    const status = error instanceof ServerError ? error.status : 0;
    chat.use(null, sentenceOf(error));
    chat.say(sentenceOf(error));
    if (status !== 401) setTimeout(connect, AGAIN_MS); // it is being opened, or started
  }
}

server.key = localStorage.getItem(KEY) ?? "";
server.onKey = () => openSettings("The server wants an API key.", key);
prepareSettings({
  onOpen: () => (key.value = server.key),
  onSave: () => {
    server.key = key.value.trim();
    localStorage.setItem(KEY, server.key);
    void connect();
  },
});
addParagraph("Programs ask here, too: their base URL is ", make("code", new URL("v1", location.href).href), ", as OpenAI's clients have it.");
void connect();
