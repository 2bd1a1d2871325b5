"""`burnish cache`: the cached files, and their removal."""

import json
import os

import pytest

from burnish.errors import UsageError
from burnish.training.cache import cache_entries, clear_cache
from burnish.training.pair_computation import compute_pairs
from burnish.training.pairs import cache_folder, find_photos, plan_pairs


@pytest.fixture
def pairs(photo_folder, tmp_path):
    """Pairs of two operators, an image, and files that are not those of a training."""
    script = tmp_path / "own.py"
    script.write_text("def glow(rgb):\n    return rgb\n")
    for spec in (f"python:{script}:glow", "l0-smoothing"):
        values = {"lambda": 0.02, "kappa": 2.0} if spec == "l0-smoothing" else {}
        photos = find_photos(photo_folder)[:2]
        compute_pairs(plan_pairs(spec, values, photos, short_sides=(), max_size=2160))
    (cache_folder() / "synthetic-1-000.png").write_bytes(b"image")
    for file in (cache_folder() / "mine.png", cache_folder("l0-smoothing") / "notes.txt"):
        file.write_text("of the user")
    old = cache_folder() / "python-glow"
    for path in old.iterdir():
        os.utime(path, (0, 0))
    features = cache_folder().parent / "keywords" / "0123456789abcdef" / "ab" / f"{'0' * 32}.npz"
    features.parent.mkdir(parents=True)
    features.write_bytes(b"features")
    return cache_folder()


def test_list_has_files_and_sizes_of_each_operator(burnish, pairs):
    listed = json.loads(burnish("cache", "list", "--json")[1])
    files = {entry["name"]: entry["files"] for entry in listed}
    assert files == {"python-glow": 2, "images": 1, "l0-smoothing": 2, "keywords": 1}
    for entry in listed:
        folder = pairs / entry["name"]
        assert entry["name"] in ("images", "keywords") or entry["size"] == sum(
            path.stat().st_size for path in folder.glob("*.npy")
        )
    code, text, _ = burnish("cache")
    assert (code, text.count("\n")) == (0, 5)
    assert "1970-01-01" in text.splitlines()[0]
    assert text.splitlines()[-1].endswith(f"MB in {pairs.parent}")


def test_clear_removes_the_files_of_one_operator_or_of_all(burnish, pairs):
    code, text, _ = burnish("cache", "clear", "python-glow")
    assert (code, text.splitlines()[-1]) == (0, "0.1 MB freed")
    assert [entry.name for entry in cache_entries()] == ["l0-smoothing", "images", "keywords"]
    assert burnish("cache", "clear", "keywords")[1].startswith("keywords")
    assert not (pairs.parent / "keywords").exists()
    assert [entry.name for entry in cache_entries()] == ["l0-smoothing", "images"]
    assert burnish("cache", "clear")[0] == 0
    left = [path.name for path in sorted(pairs.rglob("*")) if path.is_file()]
    assert left == ["notes.txt", "mine.png"]
    assert burnish("cache")[1] == f"0.0 MB in {pairs.parent}\n"


def test_clear_of_an_unknown_operator_raises(pairs):
    with pytest.raises(UsageError, match="did you mean l0-smoothing"):
        clear_cache("l0-smoothin")
    assert len(cache_entries()) == 4


def test_empty_cache_is_listed_and_cleared(burnish):
    assert burnish("cache")[0] == burnish("cache", "clear")[0] == 0
