"""Seconds and memory of the page in Chromium: a photo opened, a slider that moves or rests, a save.

python benchmarks/page.py --json benchmarks/results/page.json
"""

import argparse
import re
import shutil
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from measure import environment, write
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from burnish.operators.operator import SAMPLES
from burnish.page.server import create_server
from burnish.page.site import cached_site

CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
SIZE = 4000, 3000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--operators", nargs="+", default=["multiscale-tone", "l0-smoothing"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = {"environment": environment(), "size": SIZE, "rows": {}}
    with (
        tempfile.TemporaryDirectory() as folder,
        create_server(cached_site()) as server,
        sync_playwright() as playwright,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        photo = write_photo(Path(folder))
        for operator in options.operators:
            runs = [measure(playwright, address, photo, operator) for _ in range(options.repeats)]
            row = {name: min(run[name] for run in runs) for name in runs[0]}
            results["rows"][operator] = row
            print(operator, *(f"{name} {value:.2f}" for name, value in row.items()), sep=" | ")
        server.shutdown()
    write(options.json, results)


def write_photo(folder: Path) -> Path:
    """Write the sample photo, enlarged, with noise as of a camera."""
    pixels = np.asarray(Image.open(SAMPLES / "coffee.jpg").resize(SIZE), np.float32)
    noise = np.random.default_rng(0).normal(0, 3, (*pixels.shape[:2], 1))
    path = folder / "photo.jpg"
    Image.fromarray(np.uint8((pixels + noise).clip(0, 255))).save(path, quality=92)
    return path


def measure(playwright, address: str, photo: Path, operator: str) -> dict[str, float]:
    """Return the seconds of each step, wall time and CPU time, and the memory in MB."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    page = browser.new_page()
    page.set_default_timeout(600_000)
    page.goto(address)
    page.locator(f'#operators input[value="{operator}"]').check(force=True)
    page.wait_for_timeout(5000)  # the workers start while the page is idle
    result: dict[str, float] = {}

    def step(name: str, act) -> None:
        cpu, wall = chromium_usage()[0], time.perf_counter()
        act()
        result[name] = time.perf_counter() - wall
        result[f"{name}, CPU"] = chromium_usage()[0] - cpu

    def open_photo() -> None:
        page.set_input_files("#file", str(photo))
        expect(page.locator("#state")).to_contain_text("Preview", timeout=600_000)

    step("open", open_photo)
    show_quick = "burnish.showQuick(burnish.store.settings)"
    page.evaluate(show_quick)  # which loads the preview network
    step("moving slider", lambda: page.evaluate(show_quick))
    step("resting slider", lambda: page.evaluate("burnish.results.clear(), burnish.showPreview()"))
    step("save", lambda: save(page))
    result["memory"] = chromium_usage()[1]
    browser.close()
    return result


def save(page: Page) -> None:
    with page.expect_download():
        page.click("#save")


def chromium_usage() -> tuple[float, float]:
    """Return the CPU seconds of all processes of Chromium, and the largest memory of one, in MB."""
    seconds, memory = 0.0, 0.0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            status = (process / "status").read_text()
            stat = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if re.search(r"^Name:.*(chrom|headless)", status, re.MULTILINE):
            seconds += (int(stat[11]) + int(stat[12])) / 100
            peak = re.search(r"VmHWM:\s+(\d+)", status)
            memory = max(memory, int(peak[1]) / 1024 if peak else 0)
    return seconds, memory


if __name__ == "__main__":
    main()
