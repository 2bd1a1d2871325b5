"""Write the screenshots of the page: docs/images/page.jpg and page-phone.jpg.

python docs/screenshots.py

This needs playwright, npm, and Chromium.
"""

import shutil
import threading
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from burnish.operators.operator import SAMPLES
from burnish.page.server import create_server
from burnish.page.site import cached_site

IMAGES = Path(__file__).parent / "images"
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
SHOTS = {
    "page.jpg": {"viewport": {"width": 1280, "height": 800}},
    "page-phone.jpg": {
        "viewport": {"width": 390, "height": 844},
        "is_mobile": True,
        "color_scheme": "dark",
    },
}


def main() -> None:
    """Write all screenshots."""
    with create_server(cached_site()) as server, sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name, options in SHOTS.items():
            page = browser.new_page(**options)
            page.goto(f"http://127.0.0.1:{server.server_address[1]}/")
            page.locator(".choice").first.wait_for()
            page.set_input_files("#file", str(SAMPLES / "coffee.jpg"))
            expect(page.locator("#state")).to_contain_text("result", timeout=60_000)
            page.screenshot(path=IMAGES / name, type="jpeg", quality=88)
        browser.close()
        server.shutdown()


if __name__ == "__main__":
    main()
