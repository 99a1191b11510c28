// conversations.js - what was said, kept in this browser.
/** @import { Conversation, Message } from "./types.js" */

const PREFIX = "chord:conversation:";
const TITLE_LENGTH = 40;

/** Pages without TLS have no randomUUID(). */
const newId = () => [...crypto.getRandomValues(new Uint32Array(4))].map((number) => number.toString(16).padStart(8, "0")).join("");
/** @returns {Conversation} */
export const newConversation = () => ({ id: newId(), messages: [], changedAt: Date.now() });
/** @param {Conversation} conversation */
export const titleOf = ({ messages }) => messages[0]?.content.slice(0, TITLE_LENGTH) || "New chat";
/** @param {Message} message */
export const isSaid = ({ content, reasoning }) => content !== "" || (reasoning ?? "") !== "";

/** @param {Message} message */
const isWhole = ({ role, content }) => (role === "user" || role === "assistant") && typeof content === "string";

/** null: it is none. @param {string} key @returns {Conversation | null} */
function read(key) {
  try {
    const found = JSON.parse(localStorage.getItem(key) ?? "");
    return found.messages.every(isWhole) ? found : null;
  } catch {
    return null;
  }
}
/** The latest first. */
export function readConversations() {
  const keys = Object.keys(localStorage).filter((key) => key.startsWith(PREFIX));
  return keys.map(read).filter((found) => found !== null).sort((a, b) => b.changedAt - a.changedAt);
}
/** False: the browser has no room for it. @param {Conversation} conversation */
export function keep(conversation) {
  try {
    localStorage.setItem(PREFIX + conversation.id, JSON.stringify({ ...conversation, messages: conversation.messages.filter(isSaid) }));
    return true;
  } catch {
    return false;
  }
}
/** @param {Conversation} conversation */
export const forget = ({ id }) => localStorage.removeItem(PREFIX + id);
