// web_peer.ts - a browser's worker as a peer.
import type { Peer } from "./rpc.js";

export function webPeer(worker: Worker): Peer {
  return {
    post: (message, transfer = []) => worker.postMessage(message, transfer),
    onMessage: (listener) => (worker.onmessage = (event) => listener(event.data)),
    onFailure: (listener) => {
      worker.onerror = (event) => listener(event.message || "its script could not be loaded");
      worker.onmessageerror = () => listener("a message could not be read");
    },
    end: () => worker.terminate(),
  };
}
