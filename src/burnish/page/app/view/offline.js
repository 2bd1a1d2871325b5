/** The service worker: it isolates the page on any host, and keeps it for use offline. */

const TRIED = 'burnish-isolated';

export const isIsolated = () => window.crossOriginIsolated === true;

async function register() {
  if (!navigator.serviceWorker) return null;
  try {
    return await navigator.serviceWorker.register('service_worker.js', {updateViaCache: 'none'});
  } catch {
    return null;
  }
}

/** Isolate the page by the headers of the service worker; return false if that is impossible. */
export async function isolate() {
  if (sessionStorage.getItem(TRIED) || !(await register())) return false;
  sessionStorage.setItem(TRIED, 'yes');
  if (!navigator.serviceWorker.controller) {
    await new Promise((resolve) => navigator.serviceWorker.addEventListener('controllerchange', resolve, {once: true}));
  }
  location.reload();
  return new Promise(() => {});
}

/** Register the service worker, and offer to keep all files. */
export async function offerOffline(say) {
  sessionStorage.removeItem(TRIED);
  const button = document.getElementById('offline'), note = document.getElementById('offline-note');
  const registration = await register();
  button.hidden = !registration;
  note.textContent = registration
    ? 'After this visit, the page and the changes that you tried also work without a network.'
    : 'This window keeps no files, so the page needs its server each time.';
  button.addEventListener('click', async () => {
    button.disabled = true;
    const {active} = await navigator.serviceWorker.ready, channel = new MessageChannel();
    channel.port1.onmessage = ({data: {done, count, error}}) => {
      if (error) {
        note.textContent = 'Not all files could be kept; try again with a network.';
        button.disabled = false;
      } else note.textContent = done === count ? 'Everything is kept for use offline.' : `${done} of ${count} files are kept.`;
    };
    active.postMessage('keep', [channel.port2]);
  });
}
