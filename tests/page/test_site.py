"""The site as a whole: offline, isolation, policies, accessibility and budgets."""

import functools
import re
import shutil
import threading
import time
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from burnish.evaluation.doctor import SAMPLE
from burnish.page.site import APP, headers

MAX_OWN_BYTES = 180_000
MAX_FIRST_VISIT_BYTES = 6_000_000


def first_visit(site):
    """Return the files that a first visit with one operator loads."""
    return [
        path
        for path in site.rglob("*")
        if path.is_file()
        and (path.suffix != ".onnx" or re.match(r"multiscale-tone\.(start|network)", path.name))
        and not path.name.endswith((".md", "LICENSE", "sample.jpg"))
    ]


@pytest.mark.browser
def test_first_visit_and_own_code_are_small(site):
    brotli = pytest.importorskip("brotli")
    own = sum(path.stat().st_size for path in APP.rglob("*") if path.is_file())
    assert own <= MAX_OWN_BYTES
    # A lower quality than that of the export, so that the test is quick.
    sizes = [len(brotli.compress(path.read_bytes(), quality=6)) for path in first_visit(site)]
    assert sum(sizes) <= 1.04 * MAX_FIRST_VISIT_BYTES


def test_only_the_worker_of_libvips_may_evaluate_code():
    names = [path.relative_to(APP).as_posix() for path in APP.rglob("*") if path.is_file()]
    policies = {name: headers(f"/app-0/{name}")["Content-Security-Policy"] for name in names}
    assert [name for name in names if "'unsafe-eval'" in policies[name]] == [
        "photo/photo.worker.js"
    ]
    assert all("default-src 'none'" in policy for policy in policies.values())


class PlainHost(SimpleHTTPRequestHandler):
    """A host that sends no header of its own, as hosts of static sites do."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript"}

    def log_message(self, format, *args):
        pass


@contextmanager
def plain_host(folder):
    """Serve a folder as a plain host does, and yield the server's address."""
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(PlainHost, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.browser
def test_new_version_replaces_the_old_one_when_its_tabs_are_closed(chromium, site, tmp_path):
    copy = shutil.copytree(site, tmp_path / "site")
    context = chromium.new_context()
    script = "document.querySelector('script').getAttribute('src')"
    with plain_host(copy) as address:
        page = context.new_page()
        page.goto(address)
        page.locator(".choice").first.wait_for(timeout=60_000)
        old = page.evaluate(script).partition("/")[0]
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        (copy / old).rename(copy / "app-new")
        for name in ("index.html", "service_worker.js"):
            (copy / name).write_text((copy / name).read_text().replace(old, "app-new"))
        page.evaluate(
            """navigator.serviceWorker.ready.then(async (registration) => {
                await registration.update();
                while (!registration.waiting) await new Promise((r) => setTimeout(r, 50));
            })"""
        )
        page.reload()
        page.locator(".choice").first.wait_for(timeout=60_000)
        assert page.evaluate(script).startswith(old)  # all of the old version is still there
        end = time.monotonic() + 20
        while not page.evaluate(script).startswith("app-new/"):
            assert time.monotonic() < end
            page.close()
            time.sleep(0.2)  # the browser replaces the version a moment after the tab is closed
            page = context.new_page()
            page.goto(address)
            page.locator(".choice").first.wait_for(timeout=60_000)
    context.close()


@pytest.mark.browser
def test_any_host_isolates_the_page_which_then_works_without_it(chromium, site):
    context = chromium.new_context(accept_downloads=True)
    page = context.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    with plain_host(site) as address:
        page.goto(address)
        page.locator(".choice").first.wait_for(timeout=60_000)
        assert page.evaluate("crossOriginIsolated")
        page.set_input_files("#file", str(SAMPLE))
        page.wait_for_selector("#state:has-text('result')", timeout=60_000)
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    context.set_offline(True)
    page.reload()
    page.locator(".choice").first.wait_for(timeout=60_000)
    page.set_input_files("#file", str(SAMPLE))
    page.wait_for_selector("#state:has-text('result')", timeout=60_000)
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == "coffee.multiscale-tone.jpg"
    # Without the preview network, the standard one alone shows a moved slider.
    page.locator("#sliders input").first.press("ArrowRight")
    page.locator("body:not(.busy)").wait_for()
    assert "result" in page.inner_text("#state")
    # A network that was not used before is explained, and the page lives on.
    page.locator('#operators input[value="tv-l1"]').check(force=True)
    page.wait_for_selector("#state:has-text('connect to the network once')")
    page.click("#undo")
    page.wait_for_selector("#state:has-text('result')")
    context.close()
    assert problems == []


@pytest.mark.browser
@pytest.mark.parametrize(
    "options",
    [
        {"color_scheme": "light"},
        {"color_scheme": "dark"},
        {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True},
    ],
    ids=["light", "dark", "phone"],
)
def test_page_is_accessible(open_tab, options):
    axe = pytest.importorskip("axe_playwright_python", reason="axe is not installed")
    script = (Path(axe.__file__).parent / "axe.min.js").read_text()
    with open_tab(**options) as tab:
        run = "axe.run().then(r => r.violations.map(v => [v.id, v.nodes.map(n => n.html)]))"
        tab.page.evaluate(script)
        assert tab.page.evaluate(run) == []
        tab.open(SAMPLE)
        tab.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        tab.page.evaluate("document.querySelector('input[value=box]').click()")
        tab.page.evaluate("document.getElementById('lens-button').click()")
        assert tab.page.evaluate(run) == []
        width = tab.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width[0] <= width[1]


@pytest.mark.browser
def test_tiles_and_levels_are_those_of_the_command(open_tab):
    import numpy as np

    from burnish.modelfile.card import Guide
    from burnish.runtime.cascade import level_sizes
    from burnish.runtime.tiles import TileGrid, plan_tiles

    random = np.random.default_rng(3)
    with open_tab() as tab:
        base = tab.page.evaluate("document.querySelector('script').src.replace('view/main.js', '')")
        plan = """async ([base, height, width, halo, multiple, share]) => {
            const {TileGrid, planTiles} = await import(base + 'engine/tiles.js');
            const grid = new TileGrid(height, width, halo, multiple);
            return planTiles(grid, Math.max(grid.minPixels, Math.floor(share * height * width)))
                .flatMap(({core: c, padded: p}) => [c.top, c.bottom, c.left, c.right,
                                                    p.top, p.bottom, p.left, p.right]);
        }"""
        for _ in range(40):
            height, width = (int(side) for side in random.integers(1, 3000, 2))
            halo, multiple = int(random.integers(0, 120)), int(random.choice([1, 4, 16]))
            share = float(random.uniform(0.02, 1.2))
            grid = TileGrid(height, width, halo, multiple)
            limit = max(grid.min_pixels, int(share * height * width))
            expected = [
                edge
                for tile in plan_tiles(grid, limit)
                for part in (tile.core, tile.padded)
                for edge in (part.top, part.bottom, part.left, part.right)
            ]
            assert tab.page.evaluate(plan, [base, height, width, halo, multiple, share]) == expected
        levels = """async ([base, size, guide]) => {
            const {cascadeSteps} = await import(base + 'engine/cascade.js');
            return cascadeSteps({guide: {...guide, start: {}}}, size).map((step) => step.size);
        }"""
        for halved in (False, True):
            guide = Guide(size=160, max_ratio=4.5, halved=halved)
            for _ in range(20):
                size = tuple(int(side) for side in random.integers(1, 6000, 2))
                described = {"size": 160, "max_ratio": 4.5, "halved": halved}
                sizes = tab.page.evaluate(levels, [base, size, described])
                assert [tuple(level) for level in sizes] == level_sizes(size, guide)


@pytest.mark.browser
@pytest.mark.slow
def test_memory_stays_the_same_over_ten_photos(open_tab, tmp_path):
    from PIL import Image

    image = Image.open(SAMPLE).resize((1290, 860))
    with open_tab() as tab:
        sizes = []
        for number in range(10):
            image.save(tmp_path / f"{number}.jpg")
            tab.open(tmp_path / f"{number}.jpg", text="Preview")
            tab.save(tmp_path)
            sizes.append(tab_memory())
        assert max(sizes[5:]) < 1.2 * max(sizes[:5])


def tab_memory():
    """Return the memory of Chromium's largest process, in MB."""
    sizes = [0.0]
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except OSError:  # it has ended
            continue
        if re.search("chrom|headless", fields["Name"]) and "VmRSS" in fields:
            sizes.append(int(fields["VmRSS"].split()[0]) / 1024)
    return max(sizes)
