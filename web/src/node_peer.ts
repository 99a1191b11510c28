// node_peer.ts - a worker of Node as a peer.
import { Worker } from "node:worker_threads";
import type { Peer } from "./rpc.js";

const LAST_WORDS_MS = 20; // Node 20 ends the program when a worker is ended while it says something

export function nodePeer(url: URL, name: string): Peer {
  const worker = new Worker(url, { name, execArgv: [] });
  worker.unref();
  return {
    post: (message, transfer = []) => worker.postMessage(message, transfer as never),
    onMessage: (listener) => void worker.on("message", listener),
    onFailure: (listener) => {
      worker.on("error", (error) => listener(error.message));
      worker.on("exit", (code) => listener(`it ended with ${code}`));
      worker.on("messageerror", (error) => listener(error.message));
    },
    end: () => void setTimeout(() => worker.terminate(), LAST_WORDS_MS),
    hold: (wanted) => (wanted ? worker.ref() : worker.unref()),
  };
}
