// main.ts - the demo page of wasm-chord: a chat with a model that runs in this tab.
import { Chat } from "./chat.js";
import { forget, newConversation, readConversations, titleOf, type Conversation } from "./conversations.js";
import { button, byId } from "./page.js";
import { openPicker, preparePicker } from "./picker.js";

const menu = byId("menu"), nav = byId("conversations"), root = document.documentElement;

function openMenu(open: boolean): void {
  nav.classList.toggle("open", open);
  menu.setAttribute("aria-expanded", String(open));
}

function show(conversation: Conversation): void {
  chat.open(conversation);
  openMenu(false);
  list();
}
function remove(conversation: Conversation): void {
  forget(conversation);
  if (conversation.id === chat.current.id) chat.open(newConversation());
  list();
}
function list(): void {
  byId("list").replaceChildren(...readConversations().map((conversation) => {
    const item = document.createElement("li"), title = titleOf(conversation), open = button(title, title, () => show(conversation));
    if (conversation.id === chat.current.id) open.setAttribute("aria-current", "true");
    item.append(open, button("Delete", `Delete the chat: ${title}`, () => remove(conversation)));
    return item;
  }));
}

/** Kept for the next visit; without a choice, as the system has it. */
function setTheme(theme: string | null): void {
  if (theme === null) return;
  root.dataset["theme"] = theme;
  localStorage.setItem("chord:theme", theme);
}
function otherTheme(): string {
  const dark = root.dataset["theme"] === "dark" || (root.dataset["theme"] === undefined && matchMedia("(prefers-color-scheme: dark)").matches);
  return dark ? "light" : "dark";
}

/** Keeps the page for visits without a network, and isolates it on servers that cannot: then it is loaded once more. */
async function startServiceWorker(): Promise<void> {
  if (!("serviceWorker" in navigator)) return;
  const { serviceWorker } = navigator, reload = (): void => void (globalThis.crossOriginIsolated || location.reload());
  serviceWorker.addEventListener("controllerchange", reload);
  await serviceWorker.register("sw.js");
}

setTheme(localStorage.getItem("chord:theme"));
const chat: Chat = new Chat(readConversations()[0] ?? newConversation(), () => list());
list();
byId("new").addEventListener("click", () => show(newConversation()));
menu.addEventListener("click", () => openMenu(!nav.classList.contains("open")));
byId("theme").addEventListener("click", () => setTheme(otherTheme()));
byId("choose").addEventListener("click", () => void openPicker());
preparePicker(() => chat.use(null), (engine) => chat.use(engine));
void startServiceWorker();
