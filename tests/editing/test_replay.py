"""What a photo says of how it was made, and doing it again."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

import burnish
from burnish.editing.edit import load_edit
from burnish.editing.history import EditRecord, read_photo_history
from burnish.editing.replay import replay
from burnish.errors import ModelError, PhotoError, UsageError
from burnish.photo import Photo
from burnish.runtime import model_registry as shelf


@pytest.fixture
def photo(photos):
    return photos / "1.png"


def test_a_result_says_how_it_was_made(photo):
    [step] = read_photo_history(burnish.apply(photo, "l0-smoothing", lambda_=0.1))
    assert (step.operator, step.slow) == ("l0-smoothing", False)
    assert step.params == {"lambda": 0.1, "kappa": 2}
    assert step.model == burnish.Model.open("l0-smoothing").sha256
    assert step.version == burnish.__version__


@pytest.mark.parametrize("format", ["jpeg", "png", "tiff", "webp", "avif"])
def test_in_every_format(photo, tmp_path, format):
    result = burnish.apply(Photo.open(photo).encode(format), "l0-smoothing")
    (tmp_path / "file").write_bytes(result)
    assert read_photo_history(tmp_path / "file")[0].operator == "l0-smoothing"


def test_edits_follow_one_another_and_are_all_done_again(photo, photos):
    once = burnish.apply(photo, "l0-smoothing")
    twice = burnish.apply(once, "rudin-osher-fatemi", lambda_=8, slow=True)
    steps = read_photo_history(twice)
    assert [(step.operator, step.slow) for step in steps] == [
        ("l0-smoothing", False),
        ("rudin-osher-fatemi", True),
    ]
    pixels = Photo.open(photos / "2.png").pixels
    expected = load_edit("rudin-osher-fatemi", {"lambda": 8}, slow=True).run(
        load_edit("l0-smoothing", {}).run(pixels)
    )
    shares = []
    edit = replay(steps)
    np.testing.assert_array_equal(edit.run(pixels, shares.append), expected)
    assert edit.name == "l0-smoothing.rudin-osher-fatemi"
    assert shares == sorted(shares)
    assert shares[-1] <= 1


def test_other_values_may_be_given(photo):
    edit = replay(
        read_photo_history(burnish.apply(photo, "l0-smoothing", lambda_=0.1)), {"lambda": 0.05}
    )
    assert edit.history[0].params["lambda"] == 0.05


def test_a_value_goes_to_the_steps_that_have_such_a_parameter(photo):
    twice = burnish.apply(burnish.apply(photo, "l0-smoothing"), "multiscale-tone")
    steps = read_photo_history(twice)
    done = replay(steps, {"lambda": 0.05, "fine": 1.5}).history
    assert [step.params["lambda"] for step in done if "lambda" in step.params] == [0.05]
    assert [step.params["fine"] for step in done if "fine" in step.params] == [1.5]
    thrice = read_photo_history(burnish.apply(twice, "l0-smoothing", lambda_=0.1))
    assert [s.params.get("lambda") for s in replay(thrice, {"lambda": 0.05}).history] == [
        *(0.05, None, 0.05)
    ]
    with pytest.raises(UsageError, match=r"^l0-smoothing: expected parameters among .*, got omega"):
        replay(steps, {"omega": 0.5})


def test_a_value_passes_by_steps_that_have_it_fixed_or_never_had_it(photo):
    hazy = burnish.apply(photo, "nonlocal-dehazing")  # a network of one lambda
    done = replay(read_photo_history(burnish.apply(hazy, "l0-smoothing")), {"lambda": 0.05}).history
    assert [step.params["lambda"] for step in done] == [0.1, 0.05]
    slow = burnish.apply(burnish.apply(photo, "l0-smoothing"), "dark-channel-guided", slow=True)
    done = replay(read_photo_history(slow), {"airlight": "#ffffff"}).history
    assert [step.params.get("airlight") for step in done] == [None, "#ffffff"]


def test_a_value_that_one_of_several_steps_cannot_take_names_the_step(photo):
    once = burnish.apply(photo, "l0-smoothing")
    steps = read_photo_history(burnish.apply(once, "rudin-osher-fatemi"))
    with pytest.raises(
        UsageError, match=r"rudin-osher-fatemi: lambda: expected 2 to 100, got 0\.1"
    ):
        replay(steps, {"lambda": 0.1})


def test_a_file_has_to_be_named_anew(photo, tmp_path):
    cube = tmp_path / "mine.cube"
    cube.write_text("LUT_3D_SIZE 2\n" + "0.5 0.5 0.5\n" * 8)
    steps = read_photo_history(burnish.apply(photo, "look", slow=True, lut=str(cube)))
    assert steps[0].files == {"lut": "mine.cube"}
    assert str(tmp_path) not in steps[0].model_dump_json()
    with pytest.raises(UsageError, match=r"--lut: expected the file mine\.cube"):
        replay(steps)
    assert replay(steps, {"lut": str(cube)}).name == "look"


def test_an_operator_of_ones_own_is_never_run_from_a_photo(photo, tmp_path):
    (tmp_path / "mine.py").write_text("def negative(rgb):\n    return 1 - rgb\n")
    spec = f"python:{tmp_path / 'mine.py'}:negative"
    steps = read_photo_history(burnish.apply(photo, spec, slow=True))
    assert steps[0].operator == "negative"
    with pytest.raises(UsageError, match="one of your own"):
        replay(steps)


@pytest.mark.parametrize("name", ["../../evil.onnx", "/tmp/evil.onnx", "evil"])
def test_a_network_that_a_photo_names_is_looked_up_and_not_opened(name):
    with pytest.raises(ModelError, match="name its file with --model"):
        replay([EditRecord(operator=name, model="0" * 64)])


def test_a_network_of_ones_own_is_told_by_its_content(photo, tmp_path):
    own = tmp_path / "own.onnx"
    shutil.copy(shelf.find_model("l0-smoothing"), own)
    [step] = read_photo_history(burnish.apply(photo, own))
    assert replay([step], models=[own]).history == (step,)


def test_another_version_of_a_network_is_said(photo):
    [step] = read_photo_history(burnish.apply(photo, "l0-smoothing"))
    with pytest.warns(UserWarning, match="l0-smoothing is another version"):
        replay([step.model_copy(update={"model": "0" * 64})])


def test_a_photo_that_does_not_say(photo):
    with pytest.raises(PhotoError, match="expected a photo that burnish made"):
        read_photo_history(photo)


@pytest.mark.parametrize("xmp", [b"no packet", b" " * 60_000])
def test_xmp_that_cannot_be_added_to_stays_as_it_is(photo, tmp_path, xmp):
    plain = Photo.open(photo)
    path = replace(plain, metadata=replace(plain.metadata, xmp=xmp)).save(tmp_path / "x.png")
    with pytest.warns(UserWarning, match="XMP is left as it is"):
        result = burnish.apply(path, "l0-smoothing")
    assert Photo.open(result).metadata.xmp == xmp


def test_a_file_that_a_photo_names_is_never_opened(tmp_path):
    stranger = EditRecord(operator="look", params={"lut": str(tmp_path / "private.cube")}, slow=True)
    with pytest.raises(UsageError, match=r"--lut: expected the file private\.cube"):
        replay([stranger])


def test_a_network_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match="expected a file, got no such file or directory"):
        replay([EditRecord(operator="own", model="0" * 64)], models=[tmp_path / "no.onnx"])
