/**
 * Keeps the page for use offline, and isolates it from other sites on any host: libvips and shared
 * memory need that. Python fills in the lists below when it writes the site. A new version waits
 * until all tabs of the old one are closed, since they still load files of theirs.
 */

const {first, later} = /* FILES */;
const HEADERS = /* HEADERS */;
const EVALUATING = /* EVALUATING */;
const CACHE = 'burnish-APP_FOLDER';

addEventListener('install', (event) => event.waitUntil((async () => {
  const cache = await caches.open(CACHE);
  // Files of hashed names come from the browser's cache if they are there.
  await Promise.all(first.map(async (name) => {
    const isEntry = !name.includes('/') || name === './';
    const response = isEntry ? await fetch(name, {cache: 'no-cache'}) : await caches.match(name) ?? await fetch(name);
    if (!response.ok) throw new Error(`${name}: ${response.status}`);
    await cache.put(name, response);
  }));
})()));

addEventListener('activate', (event) => event.waitUntil((async () => {
  const files = new Set([...first, ...later].map((name) => new URL(name, registration.scope).href));
  const cache = await caches.open(CACHE);
  for (const name of await caches.keys()) {
    if (name === CACHE || !name.startsWith('burnish-')) continue;
    const old = await caches.open(name);
    for (const request of await old.keys()) {  // networks that have not changed
      if (files.has(request.url) && !(await cache.match(request))) await cache.put(request, await old.match(request));
    }
    await caches.delete(name);
  }
  await clients.claim();
})()));

addEventListener('fetch', (event) => {
  const url = new URL(event.request.url);
  if (event.request.method === 'GET' && url.origin === location.origin) event.respondWith(answer(event.request, url));
});

async function answer(request, url) {
  url.search = '';
  const cache = await caches.open(CACHE);
  let response = await cache.match(url.href);
  if (!response) {
    response = await fetch(request);
    const known = later.some((name) => url.href === new URL(name, registration.scope).href);
    if (response.ok && known) await cache.put(url.href, response.clone());
  }
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
  if (EVALUATING.some((name) => url.pathname.endsWith(`/${name}`))) {
    headers.set('Content-Security-Policy', `${HEADERS['Content-Security-Policy']}`.replace("'wasm-unsafe-eval'", "'wasm-unsafe-eval' 'unsafe-eval'"));
  }
  return new Response(response.body, {status: response.status, statusText: response.statusText, headers});
}

/** The page asks for all files, to be used offline. */
addEventListener('message', (event) => event.waitUntil((async () => {
  const cache = await caches.open(CACHE), [port] = event.ports;
  let done = 0;
  try {
    for (const name of later) {
      if (!(await cache.match(name))) await cache.add(name);
      port.postMessage({done: ++done, count: later.length});
    }
  } catch {
    port.postMessage({error: true});
  }
})()));
