// node_peer.ts - a worker of Node as a peer.
import { Worker } from "node:worker_threads";
import type { Peer } from "./rpc.js";

export function nodePeer(url: URL, name: string): Peer {
  const worker = new Worker(url, { name });
  worker.unref();
  return {
    post: (message, transfer = []) => worker.postMessage(message, transfer as never),
    onMessage: (listener) => void worker.on("message", listener),
    onFailure: (listener) => {
      worker.on("error", (error) => listener(error.message));
      worker.on("messageerror", (error) => listener(error.message));
    },
    end: () => void worker.terminate(),
    hold: (wanted) => (wanted ? worker.ref() : worker.unref()),
  };
}
