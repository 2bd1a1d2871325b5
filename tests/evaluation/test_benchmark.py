"""The scores of `burnish evaluate`, against scores that are computed directly."""

import numpy as np
import pytest

from burnish.editing.edit import NetworkEdit
from burnish.errors import UsageError
from burnish.evaluation.benchmark import evaluate_models, slider_settings
from burnish.evaluation.doctor import SAMPLE
from burnish.metrics import cast
from burnish.operators.registry import OPERATORS
from burnish.photo import Photo
from burnish.runtime.model import Model
from burnish.runtime.model_registry import find_model

MODEL = "l0-smoothing"


@pytest.fixture
def crops(tmp_path):
    """A folder of two crops, 120 x 80, of the sample photo."""
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = Photo.open(SAMPLE).pixels
    for index in range(2):
        left = 200 * index
        crop = Photo(pixels[100:180, left : left + 120])
        crop.save(folder / f"{index}.png", depth=16)
    return folder


def psnr(a, b):
    return float(-10 * np.log10(np.mean((a.astype(np.float64) - b) ** 2)))


def test_evaluate_models_scores_the_network_against_the_operator(crops):
    (benchmark,) = evaluate_models([MODEL], crops, guide="network")
    images = [Photo.open(crops / f"{index}.png").pixels for index in range(2)]
    targets = [OPERATORS[MODEL].run(image) for image in images]
    outputs = [Model.open(MODEL)(image) for image in images]
    unedited, network, operator = benchmark.scores
    expected = [psnr(a, b) for a, b in zip(images, targets, strict=True)]
    assert unedited.report.mean.psnr == pytest.approx(np.mean(expected), abs=1e-2)
    expected = [psnr(a, b) for a, b in zip(outputs, targets, strict=True)]
    assert network.report.mean.psnr == pytest.approx(np.mean(expected), abs=1e-2)
    assert network.report.worst.psnr == pytest.approx(min(expected), abs=1e-2)
    casts = [cast(a, b) for a, b in zip(outputs, targets, strict=True)]
    assert network.report.mean.cast == pytest.approx(np.mean(casts), abs=1e-2)
    assert network.report.worst.cast == pytest.approx(max(casts), abs=1e-2)
    assert network.report.worst_photo == f"{np.argmin(expected)}.png"
    assert (operator.name, operator.report) == ("operator", None)
    assert (benchmark.count, benchmark.short_side) == (2, None)
    assert benchmark.megapixels == pytest.approx(80 * 120 / 1e6)
    card = Model.open(MODEL).card
    costs = (network.macs_per_pixel, network.parameters)
    assert costs == (card.macs_per_pixel, card.parameter_count)
    assert network.seconds_per_megapixel > 0
    assert operator.seconds_per_megapixel > 0


def test_evaluate_models_with_sizes_gives_a_benchmark_per_size(crops):
    own_size, smaller = evaluate_models([MODEL], crops, sizes=(40,))
    assert (own_size.short_side, smaller.short_side) == (None, 40)
    assert smaller.megapixels == pytest.approx(40 * 60 / 1e6)


def test_evaluate_models_skips_a_size_near_that_of_the_photos(crops):
    benchmarks = evaluate_models([MODEL], crops, sizes=(75,))
    assert [benchmark.short_side for benchmark in benchmarks] == [None]


@pytest.mark.parametrize("guide", ["operator", "network"])
def test_evaluate_models_scores_a_guided_network_with_a_guide(crops, guided_model, guide):
    (benchmark,) = evaluate_models([guided_model], crops, guide=guide)
    network = benchmark.scores[1]
    edit = NetworkEdit(Model.open(guided_model), {}, guide=guide)
    images = [Photo.open(crops / f"{index}.png").pixels for index in range(2)]
    expected = [psnr(edit.run(image), OPERATORS[MODEL].run(image)) for image in images]
    assert network.report.mean.psnr == pytest.approx(np.mean(expected), abs=1e-2)
    assert network.guide == guide


def test_evaluate_models_with_sliders_evaluates_their_ends_and_thirds(crops):
    default, *settings = evaluate_models([MODEL], crops, sliders=True)
    assert default.params == {}
    values = [benchmark.params["lambda"] for benchmark in settings]
    assert values == pytest.approx([0.002, 0.002 * 100 ** (1 / 3), 0.002 * 100 ** (2 / 3), 0.2])
    (direct,) = evaluate_models([MODEL], crops, params={"lambda": 0.2})
    _, network = settings[-1].scores
    assert network.report == direct.scores[1].report


def test_slider_settings_keep_the_other_values():
    card = Model.open("multiscale-tone").card
    settings = slider_settings(card, {"medium": 2.0})
    assert len(settings) == 12
    assert settings[0] == {"medium": 2.0, "fine": 0.0}
    assert [setting["medium"] for setting in settings[4:8]] == [0, 1, 2, 3]


def test_evaluate_models_with_sliders_and_an_operator_raises(crops):
    with pytest.raises(UsageError, match="--operator"):
        evaluate_models([MODEL], crops, sliders=True, operator="tv-l1")


def test_evaluate_models_with_value_that_was_not_trained_raises(crops):
    with pytest.raises(UsageError, match=r"^kappa: "):
        evaluate_models([MODEL], crops, params={"kappa": 3.0})


@pytest.fixture
def negative_pairs(crops):
    """A folder of pairs: the crops, and their negatives as JPEG."""
    folder = crops.parent / "pairs"
    for index in range(2):
        photo = Photo.open(crops / f"{index}.png")
        for side, name, pixels in (
            ("before", f"{index}.png", photo.pixels),
            ("after", f"{index}.jpg", 1 - photo.pixels),
        ):
            (folder / side).mkdir(parents=True, exist_ok=True)
            Photo(pixels).save(folder / side / name)
    return folder


def test_evaluate_models_on_pairs_compares_with_the_photos_after(negative_pairs):
    (benchmark,) = evaluate_models([MODEL], operator=f"pairs:{negative_pairs}", guide="network")
    expected = []
    for index in range(2):
        before = Photo.open(negative_pairs / "before" / f"{index}.png").pixels
        after = Photo.open(negative_pairs / "after" / f"{index}.jpg").pixels
        expected.append(psnr(Model.open(MODEL)(before), after))
    unedited, network = benchmark.scores  # the operator is unknown, and has no row
    assert network.report.mean.psnr == pytest.approx(np.mean(expected), abs=1e-2)
    assert unedited.name == "unedited"


@pytest.mark.parametrize("options", [{"photos": "crops"}, {"sizes": [40]}, {"max_size": 60}])
def test_evaluate_models_on_pairs_takes_no_other_photos_and_no_size(negative_pairs, options):
    with pytest.raises(UsageError, match="leave it out"):
        evaluate_models([MODEL], operator=f"pairs:{negative_pairs}", **options)
    with pytest.raises(UsageError, match=r"^photos: "):
        evaluate_models([MODEL])


def test_models_of_the_same_name_have_different_rows(crops, tmp_path):
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(find_model(MODEL).read_bytes())
    (benchmark,) = evaluate_models([MODEL, copy, copy], crops, guide="network")
    names = [score.name for score in benchmark.scores]
    assert names == ["unedited", MODEL, f"{copy}", f"{copy} (2)", "operator"]


def test_evaluate_models_skips_photos_that_are_too_small(crops):
    before = evaluate_models([MODEL], crops)[0].scores[1].report
    Photo(np.zeros((10, 50, 3), np.float32)).save(crops / "small.png")
    with pytest.warns(UserWarning, match=r"small\.png: skipped"):
        (benchmark,) = evaluate_models([MODEL], crops)
    assert (benchmark.count, benchmark.scores[1].report) == (2, before)
    for index in range(2):
        (crops / f"{index}.png").unlink()
    with (
        pytest.warns(UserWarning, match="skipped"),
        pytest.raises(UsageError, match="--max-size"),
    ):
        evaluate_models([MODEL], crops)
