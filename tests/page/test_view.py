"""Use of the page: keys, sliders, undo, commands, regions, several photos, refused files."""

import io
import itertools
import shlex
import subprocess
import sys

import numpy as np
import pytest
import pyvips
from PIL import Image

import burnish
from burnish.evaluation.doctor import SAMPLE
from burnish.runtime.model import Model

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """Return a small photo whose name needs quotes in a shell."""
    path = tmp_path_factory.mktemp("photos") / "my coffee's.png"
    Image.open(SAMPLE).crop((100, 60, 340, 220)).save(path)
    return path


@pytest.fixture
def open_page(shared_tab, photo):
    """Return the page with the photo open, and its settings at their beginning."""
    shared_tab.open(photo)
    shared_tab.command("burnish apply local-laplacian photo.png --detail 2")
    shared_tab.state("result")
    shared_tab.page.locator("#stage").focus()
    return shared_tab


def command(tab):
    return tab.page.input_value("#command-text")


def shown(tab):
    return tab.page.locator("#view").get_attribute("data-show")


def test_keys_show_before_both_and_after(open_page):
    for key, mode in (("1", "before"), ("3", "after"), ("2", "pair")):
        open_page.page.keyboard.press(key)
        assert shown(open_page) == mode


def test_arrows_move_the_border(open_page):
    page = open_page.page
    before = float(page.input_value("#split"))
    page.keyboard.press("ArrowLeft")
    assert float(page.input_value("#split")) == before - 2


def test_zoom_keeps_both_sides_in_step(open_page):
    page = open_page.page
    page.keyboard.press("+")
    page.keyboard.press("+")
    transforms = page.evaluate(
        "[...document.querySelectorAll('.layer > canvas:first-child')].map(c => c.style.transform)"
    )
    assert transforms[0] == transforms[1] != ""
    page.keyboard.press("0")
    assert page.inner_text("#zoom") == "Fit"


def test_operator_sliders_and_undo_by_keyboard_alone(open_page):
    page = open_page.page
    page.locator('#operators input[value="local-laplacian"]').focus()
    page.keyboard.press("ArrowRight")
    assert command(open_page).startswith("burnish apply l0-smoothing ")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "slider-lambda"
    page.keyboard.press("ArrowRight")
    moved = command(open_page)
    assert "--lambda 0.0" in moved
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    assert "local-laplacian" in command(open_page)
    page.keyboard.press("Control+Shift+z")
    page.keyboard.press("Control+Shift+z")
    assert command(open_page) == moved


def test_logarithmic_slider_is_in_the_middle_at_the_geometric_mean(open_page):
    page = open_page.page
    open_page.command("burnish apply l0-smoothing photo.jpg --lambda 0.02")
    assert page.input_value("#slider-lambda") == "500"


# One operator whose standard network has a cascade, and one whose start network stands alone.
@pytest.mark.parametrize("operator", ["l0-smoothing", "rudin-osher-fatemi"])
def test_moving_slider_is_followed_by_the_preview_network(operator, shared_tab, tmp_path):
    photo = tmp_path / "photo.png"
    Image.open(SAMPLE).crop((100, 60, 400, 340)).save(photo)  # larger than the first level
    shared_tab.command(f"burnish apply {operator} photo.png")
    shared_tab.open(photo)
    page = shared_tab.page
    page.evaluate(
        """() => { window.drawn = [];
           const draw = burnish.drawPreview;
           burnish.drawPreview = function (after, settings) {
             drawn.push([settings.values.lambda, [...after.filter((_, i) => i % 101 === 0)]]);
             draw.call(this, after, settings);
           }; }"""
    )
    slider = page.locator("#slider-lambda").bounding_box()
    y = slider["y"] + slider["height"] / 2
    page.mouse.move(slider["x"] + slider["width"] * 0.5, y)
    page.mouse.down()
    for share in itertools.cycle((0.6, 0.7, 0.8)):
        page.mouse.move(slider["x"] + slider["width"] * share, y)
        page.wait_for_timeout(20)
        if page.evaluate("drawn.length"):
            break
    page.mouse.up()
    page.locator("body:not(.busy)").wait_for()
    drawn = page.evaluate("drawn")
    page.evaluate("delete burnish.drawPreview")
    assert "real result" in page.inner_text("#state")
    pixels = np.asarray(Image.open(photo), np.float32) / 255
    for (value, shown), quality in ((drawn[0], "preview"), (drawn[-1], "standard")):
        result = Model.open(operator, quality=quality)(pixels, {"lambda": value})
        assert np.abs(result.ravel()[::101] - shown).max() < 1 / 510


def test_copied_command_gives_the_saved_photo(open_page, photo, tmp_path):
    open_page.command(
        "burnish apply rudin-osher-fatemi x.jpg --lambda 5 --strength 0.6 --box 40,30,170,120 "
        "--feather 9 --invert"
    )
    saved = open_page.save(tmp_path)
    words = shlex.split(command(open_page))
    assert words[3] == photo.name
    target = tmp_path / "command.png"
    program = [sys.executable, "-m", "burnish", *words[1:], "-o", str(target)]
    subprocess.run(program, cwd=photo.parent, check=True, capture_output=True)
    page, expected = (
        pyvips.Image.new_from_file(str(p)).numpy().astype(int) for p in (saved, target)
    )
    before = np.asarray(Image.open(photo)).astype(int)
    assert np.abs(page - expected).max() <= 1
    assert np.count_nonzero(page != expected) <= 5e-4 * page.size
    assert (page != before)[:20].any()
    assert (page == before)[60:90, 70:140].all()  # inside the box
    history = [burnish.editing.history.read_history(path)[-1] for path in (saved, target)]
    assert history[0] == history[1]


def test_painted_mask_gives_the_saved_photo_with_the_command(open_page, photo, tmp_path):
    page = open_page.page
    page.evaluate("document.getElementById('region').open = true")
    page.locator('input[name="tool"][value="brush"]').check(force=True)
    view = page.locator("#view").bounding_box()
    x, y = view["x"] + view["width"] * 0.6, view["y"] + view["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 40)
    page.mouse.up()
    page.locator("#feather").fill("3")
    with page.expect_download() as download:
        page.click("#save-mask")
    assert download.value.suggested_filename == f"{photo.name}.mask.png"
    download.value.save_as(photo.parent / download.value.suggested_filename)
    saved = open_page.save(tmp_path)
    words = shlex.split(command(open_page))
    mask = words[words.index("--mask") + 1]
    from burnish.regions.options import RegionOptions

    region = RegionOptions(mask=photo.parent / mask, feather=3)
    expected = np.asarray(
        burnish.apply(Image.open(photo), "local-laplacian", guide="network", detail=2, only=region)
    )
    page_pixels = np.asarray(Image.open(saved))
    assert np.abs(page_pixels.astype(int) - expected).max() <= 1
    changed = np.count_nonzero((page_pixels != np.asarray(Image.open(photo))).any(axis=2))
    assert 0 < changed < page_pixels.shape[0] * page_pixels.shape[1] / 3


def test_pasted_command_with_an_error_is_explained(open_page):
    page = open_page.page
    before = page.evaluate("burnish.store.settings.operator")
    for text, message in (
        ("burnish apply l0-smoothing a.jpg --lambda 7", "--lambda: expected 0.002 to 0.2, got 7"),
        ("burnish apply l0-smothing a.jpg", "l0-smothing: the page has no such operator"),
        ("burnish apply l0-smoothing a.jpg --only person", "--only: the page does not know"),
    ):
        page.evaluate(
            "text => { const f = document.getElementById('command-text'); f.value = text;"
            " f.dispatchEvent(new Event('input')); }",
            text,
        )
        assert message in page.inner_text("#command-note")
    assert page.evaluate("burnish.store.settings.operator") == before


def encoded(pixels, name):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, name)
    return file.getvalue()


def png_header(width, height):
    """Return a PNG that declares a size and has no pixels."""
    small = bytearray(encoded(np.zeros((1, 1, 3), np.uint8), "png"))
    small[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    import zlib

    small[29:33] = zlib.crc32(bytes(small[12:29])).to_bytes(4, "big")
    return bytes(small)


REFUSED = {
    "cut.jpg": (SAMPLE.read_bytes()[:60_000], "the file is cut off"),
    "drawing.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "this is an SVG drawing"),
    "empty.jpg": (b"", "the file is empty"),
    "large.png": (png_header(10_000, 6_000), "are too many for a browser"),
    "iphone.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC photos cannot be opened"),
    "words.txt": (b"only words", "this is not a photo that the page reads"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_file_gets_a_sentence_and_the_photo_stays(name, open_page, tmp_path):
    content, message = REFUSED[name]
    (tmp_path / name).write_bytes(content)
    text = open_page.open(tmp_path / name, text=name)
    open_page.state(message)
    assert name in text
    open_page.page.keyboard.press("3")
    assert shown(open_page) == "after"
    assert open_page.page.is_enabled("#save")


def test_several_photos_are_opened_in_turn(open_page, tmp_path):
    names = ["first.jpg", "second.jpg"]
    for name in names:
        Image.open(SAMPLE).crop((0, 0, 90, 60)).save(tmp_path / name)
    open_page.open(*(tmp_path / name for name in names))
    page = open_page.page
    page.click("#photos button:has-text('second.jpg')")
    page.wait_for_selector("#photos button[aria-current]:has-text('second.jpg')")
    open_page.state("result")
    assert open_page.save(tmp_path).name == "second.local-laplacian.jpg"


def test_object_is_chosen_from_a_list(open_page, tmp_path):
    astronaut = pytest.importorskip("skimage.data").astronaut
    path = tmp_path / "person.jpg"
    Image.fromarray(astronaut()[:400, 40:400]).save(path)
    open_page.open(path)
    page = open_page.page
    page.evaluate("document.getElementById('region').open = true")
    page.locator('input[name="tool"][value="object"]').check(force=True)
    open_page.state("objects found")
    page.locator("#objects button", has_text="person").first.click()
    weights = page.evaluate("Array.from(burnish.tools.mask(burnish.photo.image))")
    assert 0.1 < np.mean(weights) < 0.9
