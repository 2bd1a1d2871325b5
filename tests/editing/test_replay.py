"""The history of edits in a photo, and its replay."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

import burnish
from burnish.editing.edit import load_edit
from burnish.editing.history import EditRecord, read_history
from burnish.editing.replay import replay
from burnish.errors import ModelError, PhotoError, UsageError
from burnish.photo import Photo
from burnish.runtime.model_registry import find_model


@pytest.fixture
def photo(photo_folder):
    return photo_folder / "1.png"


def apply_all(photo, *names):
    """Apply several networks, and return the history of the output."""
    for name in names:
        photo = burnish.apply(photo, name)
    return read_history(photo)


def values(history, name):
    return [record.params.get(name) for record in history]


def test_history_records_operator_parameters_and_model(photo):
    [record] = read_history(burnish.apply(photo, "l0-smoothing", lambda_=0.1))
    assert (record.operator, record.slow) == ("l0-smoothing", False)
    assert record.params == {"lambda": 0.1, "kappa": 2}
    assert record.model == burnish.Model.open("l0-smoothing").sha256
    assert record.version == burnish.__version__


@pytest.mark.parametrize("format", ["jpeg", "png", "tiff", "webp", "avif"])
def test_history_is_stored_in_every_format(photo, tmp_path, format):
    output = burnish.apply(Photo.open(photo).encode(format), "l0-smoothing")
    (tmp_path / "file").write_bytes(output)
    assert read_history(tmp_path / "file")[0].operator == "l0-smoothing"


def test_replay_applies_all_edits_in_order(photo, photo_folder):
    once = burnish.apply(photo, "l0-smoothing")
    twice = burnish.apply(once, "rudin-osher-fatemi", lambda_=8, slow=True)
    history = read_history(twice)
    assert [(record.operator, record.slow) for record in history] == [
        ("l0-smoothing", False),
        ("rudin-osher-fatemi", True),
    ]
    pixels = Photo.open(photo_folder / "2.png").pixels
    smoothed = load_edit("l0-smoothing", {}).run(pixels)
    expected = load_edit("rudin-osher-fatemi", {"lambda": 8}, slow=True).run(smoothed)
    fractions = []
    edit = replay(history)
    np.testing.assert_array_equal(edit.run(pixels, fractions.append), expected)
    assert edit.name == "l0-smoothing+rudin-osher-fatemi"
    assert fractions == sorted(fractions)
    assert fractions[-1] <= 1


def test_replay_with_value_overrides_the_recorded_one(photo):
    history = read_history(burnish.apply(photo, "l0-smoothing", lambda_=0.1))
    assert values(replay(history, {"lambda": 0.05}).history, "lambda") == [0.05]


def test_replay_assigns_values_to_the_steps_that_have_the_parameter(photo):
    history = apply_all(photo, "l0-smoothing", "multiscale-tone")
    replayed = replay(history, {"lambda": 0.05, "fine": 1.5}).history
    assert values(replayed, "lambda") == [0.05, None]
    assert values(replayed, "fine") == [None, 1.5]
    history = [*history, history[0]]
    assert values(replay(history, {"lambda": 0.05}).history, "lambda") == [0.05, None, 0.05]
    with pytest.raises(UsageError, match=r"^l0-smoothing: .*omega"):
        replay(history, {"omega": 0.5})


def test_replay_assigns_no_value_to_steps_trained_at_one_value(photo):
    # The network for nonlocal-dehazing was trained at one value of lambda.
    history = apply_all(photo, "nonlocal-dehazing", "l0-smoothing")
    assert values(replay(history, {"lambda": 0.05}).history, "lambda") == [0.1, 0.05]
    smoothed = burnish.apply(photo, "l0-smoothing")
    history = read_history(burnish.apply(smoothed, "dark-channel-guided", slow=True))
    replayed = replay(history, {"airlight": "#ffffff"}).history
    assert values(replayed, "airlight") == [None, "#ffffff"]


def test_replay_with_value_out_of_range_names_the_step(photo):
    history = apply_all(photo, "l0-smoothing", "rudin-osher-fatemi")
    with pytest.raises(UsageError, match=r"^rudin-osher-fatemi: lambda: .*2 to 100"):
        replay(history, {"lambda": 0.1})


def test_replay_of_operator_with_file_needs_the_file(photo, tmp_path):
    cube = tmp_path / "mine.cube"
    cube.write_text("LUT_3D_SIZE 2\n" + "0.5 0.5 0.5\n" * 8)
    history = read_history(burnish.apply(photo, "lut", slow=True, lut=str(cube)))
    assert history[0].files == {"lut": "mine.cube"}
    assert str(tmp_path) not in history[0].model_dump_json()
    with pytest.raises(UsageError, match=r"^--lut: .*mine\.cube"):
        replay(history)
    assert replay(history, {"lut": str(cube)}).name == "lut"


def test_replay_never_runs_a_user_defined_operator(photo, tmp_path):
    (tmp_path / "mine.py").write_text("def negative(rgb):\n    return 1 - rgb\n")
    spec = f"python:{tmp_path / 'mine.py'}:negative"
    history = read_history(burnish.apply(photo, spec, slow=True))
    assert history[0].operator == "negative"
    with pytest.raises(UsageError, match=r"^negative: .*user-defined"):
        replay(history)


def test_replay_finds_a_model_file_by_its_content(photo, tmp_path):
    own = tmp_path / "own.onnx"
    shutil.copy(find_model("l0-smoothing"), own)
    [record] = read_history(burnish.apply(photo, own))
    assert replay([record], models=[own]).history == (record,)


def test_replay_with_another_version_of_a_network_warns(photo):
    [record] = read_history(burnish.apply(photo, "l0-smoothing"))
    with pytest.warns(UserWarning, match="the network l0-smoothing differs"):
        replay([record.model_copy(update={"model": "0" * 64})])


def test_read_history_of_original_raises(photo):
    with pytest.raises(PhotoError, match="no history"):
        read_history(photo)


@pytest.mark.parametrize("xmp", [b"no packet", b" " * 60_000])
def test_apply_to_photo_with_broken_or_full_xmp_keeps_it(photo, tmp_path, xmp):
    original = Photo.open(photo)
    with_xmp = replace(original, metadata=replace(original.metadata, xmp=xmp))
    path = with_xmp.save(tmp_path / "x.png")
    with pytest.warns(UserWarning, match="XMP stays unchanged"):
        output = burnish.apply(path, "l0-smoothing")
    assert Photo.open(output).metadata.xmp == xmp


def test_replay_never_opens_a_file_that_a_photo_names(tmp_path):
    record = EditRecord(operator="lut", params={"lut": str(tmp_path / "private.cube")}, slow=True)
    with pytest.raises(UsageError, match=r"^--lut: .*private\.cube"):
        replay([record])


def test_replay_with_missing_model_file_raises(tmp_path):
    record = EditRecord(operator="own", model="0" * 64)
    with pytest.raises(ModelError, match=r"no\.onnx: .*no such file"):
        replay([record], models=[tmp_path / "no.onnx"])
