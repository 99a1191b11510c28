// types.d.ts - what the page's files say to each other; Backend is the door between the page and what answers.

export interface Message {
  role: "user" | "assistant";
  content: string;
  /** Of an answer, where it was told apart. */
  reasoning?: string;
  /** Of a question: of the last answer that was asked for. */
  seed?: number;
}
export interface Conversation {
  id: string;
  messages: Message[];
  changedAt: number;
}

/** What is asked of every answer; what is not there is as the backend has it. */
export interface Settings {
  system?: string;
  temperature?: number;
  top_p?: number;
  max_tokens?: number;
  seed?: number;
}

/** In OpenAI's words. */
export interface Question {
  messages: { role: "system" | "user" | "assistant"; content: string }[];
  seed: number;
  temperature?: number;
  top_p?: number;
  max_tokens?: number;
}

/** What a backend tells while it answers. */
export interface News {
  /** More of the answer, or of what it was thought out with. */
  text?: string;
  reasoning?: string;
  /** What is being done, or why it ended. */
  note?: string;
  /** Figures that go beside those of the page, while the answer comes. */
  beside?: string;
  /** All figures, at the end. */
  statistics?: string;
}
export interface Backend {
  /** Resolves when the answer is whole. */
  answer(question: Question, signal: AbortSignal, tell: (news: News) => void): Promise<void>;
}
