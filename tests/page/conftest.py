"""The page in a browser: its site, its server, and photos to open."""

import shutil
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None
)


@pytest.fixture(scope="session")
def site():
    """Return the folder of the site, which is written once."""
    from burnish.errors import MissingLibraryError
    from burnish.page.site import cached_site

    try:
        return cached_site()
    except MissingLibraryError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def address(site):
    """Return the address of the site, as `burnish page` serves it."""
    from burnish.page.server import create_server

    with create_server(site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture(scope="session")
def chromium():
    """Return Chromium, driven by Playwright."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed, such as Debian's chromium-headless-shell")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Tab:
    """A tab with the page, and everything that goes wrong in it."""

    def __init__(self, context, address):
        self.address = address
        self.page = context.new_page()
        self.page.set_default_timeout(60_000)
        self.problems, self.requests = [], []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._add_message)
        self.page.on("request", lambda request: self.requests.append(request.url))

    def _add_message(self, message):
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def load(self):
        self.page.goto(self.address)
        self.page.locator(".choice").first.wait_for()
        return self

    def state(self, text):
        """Wait until the state of the page contains a text, and return it."""
        from playwright.sync_api import expect

        expect(self.page.locator("#state")).to_contain_text(text, timeout=60_000)
        return self.page.inner_text("#state")

    def open(self, *photos, text="result"):
        """Open photos, and wait until the state of the page contains a text."""
        opened = self._count_opened()
        self.page.evaluate("document.getElementById('state').textContent = ''")
        self.page.set_input_files("#file", [str(photo) for photo in photos])
        if text == "result":  # an unfinished preview of the photo before may show it, too
            end = time.monotonic() + 60
            while self._count_opened() == opened:
                assert time.monotonic() < end, self.page.inner_text("#state")
                self.page.wait_for_timeout(20)
        return self.state(text)

    def _count_opened(self):
        return self.page.evaluate("performance.getEntriesByName('opened').length")

    def command(self, text):
        """Set the page by a command, as by pasting it."""
        note = self.page.evaluate(
            """text => { document.getElementById('command').open = true;
               const field = document.getElementById('command-text'); field.value = text;
               field.dispatchEvent(new Event('input'));
               return document.getElementById('command-note').textContent; }""",
            text,
        )
        assert note == "The page shows this command."

    def save(self, folder: Path) -> Path:
        with self.page.expect_download() as download:
            self.page.click("#save")
        target = folder / download.value.suggested_filename
        download.value.save_as(target)
        return target


@pytest.fixture(scope="session")
def open_tab(chromium, address):
    """Return a context manager of a tab, which checks at its end that nothing went wrong."""

    @contextmanager
    def open_tab(**options):
        size = {"width": 1280, "height": 820}
        context = chromium.new_context(**{"viewport": size, "accept_downloads": True} | options)
        tab = Tab(context, address).load()
        yield tab
        context.close()
        assert tab.problems == []
        elsewhere = [url for url in tab.requests if not url.startswith((address, "blob:", "data:"))]
        assert elsewhere == []

    return open_tab


@pytest.fixture(scope="module")
def shared_tab(open_tab):
    """Return a tab that the tests of a module share, since loading it takes seconds."""
    with open_tab() as tab:
        yield tab
