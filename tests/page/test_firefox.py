"""Firefox gives the same file as Chromium. It is not automated, and reports by itself.

Under WebDriver, workers that start workers hung in half of all starts of Firefox.
"""

import functools
import queue
import shutil
import subprocess
import threading
from urllib.parse import unquote

import pytest

from burnish.page.server import _Handler, create_server

DRIVER = """
const wait = async (done) => { while (!done()) await new Promise((r) => setTimeout(r, 50)); };
const state = () => document.getElementById('state').textContent;
let file = null;
const create = URL.createObjectURL;
URL.createObjectURL = (blob) => { file ??= blob; return create(blob); };
try {
  await wait(() => window.burnish);
  document.getElementById('sample').click();
  await wait(() => state().includes('result'));
  await burnish.save();
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await file.arrayBuffer()));
  await fetch('/report?' + Array.from(digest, (b) => b.toString(16).padStart(2, '0')).join(''));
} catch (error) {
  await fetch('/report?' + encodeURIComponent(error));
}
"""


class Reporting(_Handler):
    """The page's server, with a script that edits the sample photo and reports its hash."""

    def __init__(self, *args, reports, **options):
        self.reports = reports
        super().__init__(*args, **options)

    def do_GET(self):  # noqa: N802
        path, _, query = self.path.partition("?")
        if path == "/report":
            self.reports.put(unquote(query))
            self.answer(b"", "text/plain")
        elif path == "/driver.js":
            self.answer(DRIVER.encode(), "text/javascript")
        elif path == "/":
            with open(f"{self.directory}/index.html", "rb") as file:  # noqa: PTH123
                page = file.read()
            script = b'<script type="module" src="driver.js"></script></body>'
            self.answer(page.replace(b"</body>", script), "text/html; charset=utf-8")
        else:
            super().do_GET()

    def answer(self, content, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.mark.browser
@pytest.mark.slow
def test_firefox_and_chromium_save_equal_files(chromium, site, tmp_path):
    firefox = shutil.which("firefox-esr") or shutil.which("firefox")
    if firefox is None:
        pytest.skip("Firefox is not installed")
    reports = queue.Queue()
    with create_server(site) as server:
        server.RequestHandlerClass = functools.partial(
            Reporting, directory=str(site), reports=reports
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        command = [firefox, "--headless", "--no-remote", "--profile", str(tmp_path), address]
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                in_firefox = reports.get(timeout=240)
            finally:
                process.terminate()
        context = chromium.new_context(service_workers="block")
        context.new_page().goto(address)
        in_chromium = reports.get(timeout=240)
        context.close()
        server.shutdown()
    assert len(in_firefox) == 64
    assert in_firefox == in_chromium
