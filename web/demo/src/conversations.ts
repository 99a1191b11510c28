// conversations.ts - what was said, kept in this browser.

export interface Message {
  role: "user" | "assistant";
  content: string;
}
export interface Conversation {
  id: string;
  messages: Message[];
  changedAt: number;
}

const PREFIX = "chord:conversation:";
const TITLE_LENGTH = 40;

export const newConversation = (): Conversation => ({ id: crypto.randomUUID(), messages: [], changedAt: Date.now() });
export const titleOf = ({ messages }: Conversation): string => messages[0]?.content.slice(0, TITLE_LENGTH) || "New chat";

function read(key: string): Conversation | null {
  try {
    const found = JSON.parse(localStorage.getItem(key)!) as Conversation;
    return Array.isArray(found.messages) ? found : null;
  } catch {
    return null;
  }
}
/** The latest first. */
export function readConversations(): Conversation[] {
  const keys = Object.keys(localStorage).filter((key) => key.startsWith(PREFIX));
  return keys.map(read).filter((found) => found !== null).sort((a, b) => b.changedAt - a.changedAt);
}
/** False: the browser has no room for it. */
export function keep(conversation: Conversation): boolean {
  try {
    localStorage.setItem(PREFIX + conversation.id, JSON.stringify(conversation));
    return true;
  } catch {
    return false;
  }
}
export const forget = ({ id }: Conversation): void => localStorage.removeItem(PREFIX + id);
