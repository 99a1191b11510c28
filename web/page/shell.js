// shell.js - the page around the conversation: the list of those there are, the menu, the theme.
import { Chat } from "./chat.js";
import { forget, newConversation, readConversations, titleOf } from "./conversations.js";
import { button, byId, make } from "./page.js";
/** @import { Conversation } from "./types.js" */

const THEME = "chord:theme";
const menu = byId("menu", HTMLButtonElement), nav = byId("conversations", HTMLElement), root = document.documentElement;

/** @param {boolean} open */
function openMenu(open) {
  nav.classList.toggle("open", open);
  menu.setAttribute("aria-expanded", String(open));
}

// ---- conversations ----

/** @param {Conversation} conversation */
async function show(conversation) {
  await chat.open(conversation);
  openMenu(false);
  list();
}
/** @param {Conversation} conversation */
async function remove(conversation) {
  if (conversation.id === chat.current.id) await chat.open(newConversation());
  forget(conversation);
  list();
}
/** @param {Conversation} conversation */
function itemOf(conversation) {
  const title = titleOf(conversation), open = button(title, title, () => void show(conversation));
  if (conversation.id === chat.current.id) open.setAttribute("aria-current", "true");
  return make("li", open, button("\u00d7", `Delete the chat: ${title}`, () => void remove(conversation)));
}
function list() {
  byId("list", HTMLUListElement).replaceChildren(...readConversations().map(itemOf));
}

// ---- the theme ----

/** Kept for the next visit; without a choice, as the system has it. @param {string | null} theme */
function setTheme(theme) {
  if (theme === null) return;
  root.dataset["theme"] = theme;
  localStorage.setItem(THEME, theme);
}
function otherTheme() {
  const dark = root.dataset["theme"] === "dark" || (root.dataset["theme"] === undefined && matchMedia("(prefers-color-scheme: dark)").matches);
  return dark ? "light" : "dark";
}

setTheme(localStorage.getItem(THEME));
/** @type {Chat} */
export const chat = new Chat(readConversations()[0] ?? newConversation(), () => list());
list();
addEventListener("storage", list); // another tab's
byId("new", HTMLButtonElement).addEventListener("click", () => void show(newConversation()));
menu.addEventListener("click", () => openMenu(!nav.classList.contains("open")));
byId("theme", HTMLButtonElement).addEventListener("click", () => setTheme(otherTheme()));
