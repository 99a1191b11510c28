// isolate.ts - a service worker that brings isolation to pages of a static host that cannot send headers of its own. In the page, before all else:
//
//   <script src="isolate.js"></script>       a copy of this file, beside the page
//
// The page is loaded once more when the worker has taken over; after that it is isolated, also offline from the browser's own cache.
interface WorkerScope {
  readonly clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(type: string, listener: (event: { waitUntil(done: Promise<unknown>): void; request: Request; respondWith(response: Promise<Response>): void }) => void): void;
}

(() => {
  if (typeof document === "undefined") {
    const scope = globalThis as unknown as WorkerScope;
    scope.addEventListener("install", () => void scope.skipWaiting());
    scope.addEventListener("activate", (event) => event.waitUntil(scope.clients.claim()));
    const isolated = async (request: Request): Promise<Response> => {
      const response = await fetch(request);
      if (response.status === 0) return response; // opaque: of another site, which says itself whether it may be embedded
      const headers = new Headers(response.headers);
      headers.set("Cross-Origin-Opener-Policy", "same-origin");
      headers.set("Cross-Origin-Embedder-Policy", "require-corp");
      headers.set("Cross-Origin-Resource-Policy", "cross-origin");
      return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
    };
    scope.addEventListener("fetch", (event) => {
      const { cache, mode } = event.request;
      if (cache !== "only-if-cached" || mode === "same-origin") event.respondWith(isolated(event.request));
    });
    return;
  }
  if (globalThis.crossOriginIsolated || !("serviceWorker" in navigator)) return;
  const { src } = document.currentScript as HTMLScriptElement;
  void navigator.serviceWorker.register(src).then((registration) => {
    const reload = (): void => location.reload();
    if (registration.active !== null && navigator.serviceWorker.controller === null) reload();
    navigator.serviceWorker.addEventListener("controllerchange", reload);
  });
})();
