// sw.js - the page's service worker: all files of the page are kept when it is installed, so that it works without a network; and every answer isolates it.
/** @typedef {Event & { waitUntil(done: Promise<unknown>): void }} ExtendableEvent */
/** @typedef {ExtendableEvent & { readonly request: Request, respondWith(response: Promise<Response>): void }} FetchEvent */
/**
 * @typedef {{
 *   readonly clients: { claim(): Promise<void> }, readonly registration: { readonly scope: string }, skipWaiting(): Promise<void>,
 *   addEventListener(type: "install" | "activate", listener: (event: ExtendableEvent) => void): void,
 *   addEventListener(type: "fetch", listener: (event: FetchEvent) => void): void,
 * }} Scope
 */

(() => {
  const scope = /** @type {Scope} */ (/** @type {unknown} */ (globalThis));
  // Written by build-web: what the files are, and which.
  const VERSION = "@VERSION@", FILES = "@FILES@".split(" ");
  const NAME = `chord-page-${VERSION}`;

  const install = async () => {
    const cache = await caches.open(NAME);
    await cache.addAll(FILES.map((path) => new Request(path, { cache: "reload" })));
    await scope.skipWaiting();
  };
  const activate = async () => {
    for (const name of await caches.keys()) if (name.startsWith("chord-page-") && name !== NAME) await caches.delete(name);
    await scope.clients.claim();
  };
  /** @param {Response} response */
  const isolated = (response) => {
    if (response.status === 0) return response; // opaque: of another site
    const headers = new Headers(response.headers);
    headers.set("Cross-Origin-Opener-Policy", "same-origin");
    headers.set("Cross-Origin-Embedder-Policy", "require-corp");
    headers.set("Cross-Origin-Resource-Policy", "cross-origin");
    return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
  };
  /** @param {Request} request */
  const answer = async (request) => {
    const folder = request.url.replace(/[?#].*/, "") === scope.registration.scope; // a server gives its index
    const kept = folder ? await (await caches.open(NAME)).match("index.html") : request.method === "GET" ? await (await caches.open(NAME)).match(request, { ignoreSearch: request.mode === "navigate" }) : undefined;
    return isolated(kept ?? (await fetch(request)));
  };

  scope.addEventListener("install", (event) => event.waitUntil(install()));
  scope.addEventListener("activate", (event) => event.waitUntil(activate()));
  scope.addEventListener("fetch", (event) => {
    const { url } = event.request; // models go their own way: they are in storage already, or too large for a cache
    if (url.startsWith(scope.registration.scope) && !url.includes(".gguf")) event.respondWith(answer(event.request));
  });
})();
