"""Accuracy of keywords, with and without graphs, on photos of COCO and on Debian's packages.

    python benchmarks/keywords.py coco --train TRAIN.json TRAIN_PHOTOS --test TEST.json TEST_PHOTOS
    python benchmarks/keywords.py debian --packages Packages.lz4 --date DATE

COCO: the names of its categories are written into the XMP of copies, which become a library. Heads
are trained on the library of the first photos, with a fifth of them to choose the number of steps,
and measured on the second ones. Besides the three heads of `burnish keywords learn`, the table has
other poolings, and ML-GCN with other vectors of labels, without any edge, and with a learnt graph.

Debian: the texts are the short descriptions of all packages. Names and other fields are hidden,
because they give sections away. `sections` is one label for each text; `tags` are several. A tenth
of the texts is for validation, another one for the test, and `--labelled` of them for training.
"tag heads" are the linear head and ML-GCN on 256 components of TF-IDF (latent semantic analysis).
"""

import argparse
import json
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from measure import environment, write
from torch import nn

from burnish.keywords.library import choose_labels, read_library
from burnish.keywords.metrics import Numbers
from burnish.keywords.training import heads
from burnish.keywords.training.backbone import Backbone, FeatureExtractor, Features
from burnish.keywords.training.fit import Rows, evaluate_head
from burnish.keywords.training.graph import conditional_probabilities
from burnish.keywords.training.run import extract_features
from burnish.keywords.training.text import CLASSIFIERS, Corpus, train_classifier
from burnish.photo.in_place import Changes, change_blocks
from burnish.photo.keywords import keyword_key
from burnish.photo.xmp_keywords import add_keywords
from burnish.types import BoolMask

METRICS = ("mean_ap", "cf1", "of1", "top3_cf1", "top3_of1", "calibration_error")
# Tags of fewer packages are left out.
MIN_PACKAGES = 20
COMPONENTS = 256


class ColumnsHead(nn.Module):
    """A linear head on some of the pooled features."""

    def __init__(self, truth: BoolMask, columns: slice) -> None:
        super().__init__()
        self.columns = columns
        self.head = heads.LinearHead(truth, len(range(2560)[columns]), 0)

    def forward(self, pooled: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(pooled[:, self.columns], tokens)


def graph_head(
    vectors: Numbers | None = None, *, edges: bool = True, learnt: bool = False
) -> heads.Builder:
    """Return the builder of ML-GCN with other vectors, without edges, or with a learnt graph."""

    def build(truth: BoolMask, pooled_size: int, token_size: int) -> nn.Module:
        head = heads.GraphHead(truth, pooled_size, token_size)
        if vectors is not None:
            head.vectors = torch.from_numpy(np.asarray(vectors, np.float32))
            head.first = heads.GraphConvolution(vectors.shape[1], 256)
        if not edges:
            head.adjacency = torch.eye(truth.shape[1])
        if learnt:
            adjacency = head.adjacency
            del head.adjacency
            head.adjacency = nn.Parameter(adjacency)
        return head

    return build


def letter_vectors(names: Sequence[str]) -> Numbers:
    """Return TF-IDF of the names' sequences of two to four letters."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)).fit_transform(names).toarray()


def coco_heads(names: Sequence[str]) -> dict[str, heads.Builder]:
    maximum, mean = slice(1280), slice(1280, 2560)
    return {
        **heads.HEADS,
        "linear, maximum only": lambda truth, *sizes: ColumnsHead(truth, maximum),
        "linear, mean only": lambda truth, *sizes: ColumnsHead(truth, mean),
        "ml-gcn, one-hot vectors": graph_head(np.eye(len(names))),
        "ml-gcn, vectors of letters": graph_head(letter_vectors(names)),
        "ml-gcn, no edges": graph_head(edges=False),
        "ml-gcn, learnt graph": graph_head(learnt=True),
    }


def copy_with_keywords(annotations: Path, photos: Path, folder: Path) -> None:
    """Copy photos of COCO, with the names of their categories as keywords."""
    content = json.loads(annotations.read_text())
    names = {category["id"]: category["name"] for category in content["categories"]}
    present: dict[int, set[str]] = {}
    for entry in content["annotations"]:
        present.setdefault(entry["image_id"], set()).add(names[entry["category_id"]])
    folder.mkdir()
    for image in content["images"]:
        keywords = sorted(present.get(image["id"], ()))

        def add(xmp: bytes | None, keywords: Sequence[str] = keywords) -> bytes:
            return add_keywords(xmp, keywords)

        changes = Changes(add, lambda records: records)
        data = (photos / image["file_name"]).read_bytes()
        (folder / image["file_name"]).write_bytes(change_blocks(data, "jpeg", changes))


def coco(arguments: argparse.Namespace) -> dict[str, Any]:
    extractor = FeatureExtractor(Backbone.load(), threads=1)
    with TemporaryDirectory() as folder:
        libraries = []
        for name in ("train", "test"):
            annotations, photos = map(Path, getattr(arguments, name))
            copy_with_keywords(annotations, photos, Path(folder, name))
            libraries.append(read_library([Path(folder, name)]).photos)
        train, test = ([photo for photo in photos if photo.texts.keywords] for photos in libraries)
        features, _, _ = extract_features(extractor, [*train, *test])
    labels = choose_labels([photo.texts.keywords for photo in train])
    keys = list(map(keyword_key, labels.names))
    sets = [set(map(keyword_key, photo.texts.keywords)) for photo in [*train, *test]]
    truth = np.array([[key in present for key in keys] for present in sets], bool)
    learning = np.flatnonzero(truth[: len(train)].any(axis=1))
    tested = np.arange(len(train), len(truth))
    rows = measure_heads(features, truth, learning, tested, coco_heads(labels.names), arguments)
    edges = (conditional_probabilities(truth[learning]) >= 0.4).sum() - len(keys)
    return {
        "photos": {"train": len(learning), "test": len(tested)},
        "labels": len(keys),
        "edges": int(edges),
        "rows": rows,
    }


def measure_heads(
    features: Features,
    truth: BoolMask,
    learning: Rows,
    tested: Rows,
    builders: dict[str, heads.Builder],
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    """Train each head with several seeds, and measure it on the photos for the test."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in builders}
    for seed in range(arguments.seeds):
        order = np.random.default_rng(seed).permutation(learning)
        validation, train = order[: len(order) // 5], order[len(order) // 5 :]
        for name, build in builders.items():
            start = time.process_time()
            rows = (train, validation, tested)
            result = evaluate_head(name, build, features, truth, rows, seed, arguments.steps)
            metrics, seconds = result.metrics, time.process_time() - start
            values = {"validation": result.validation_ap, "steps": result.steps}
            runs[name].append({**asdict(metrics), **values, "seconds": seconds})
            print(f"seed {seed} {name}: mAP {metrics.mean_ap:.1f}, {seconds:.0f} s", flush=True)
    return summary(runs)


def summary(runs: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Return mean and deviation of each value, and of the gain over the first row, seed by seed."""
    first = next(iter(runs))
    rows = {}
    for name, values in runs.items():
        columns = {key: [run[key] for run in values] for key in values[0]}
        pairs = zip(values, runs[first], strict=True)
        columns["gain"] = [run["mean_ap"] - other["mean_ap"] for run, other in pairs]
        rows[name] = {
            key: [round(float(np.mean(column)), 2), round(float(np.std(column)), 2)]
            for key, column in columns.items()
        }
    return rows


def read_packages(files: Sequence[Path]) -> list[dict[str, str]]:
    """Return the fields of all packages, each package once."""
    packages: dict[str, dict[str, str]] = {}
    for file in files:
        if file.suffix == ".lz4":
            text = subprocess.run(["lz4cat", file], capture_output=True, check=True).stdout.decode()
        else:
            text = file.read_text()
        for paragraph in text.split("\n\n"):
            unfolded = paragraph.replace("\n ", " ")
            fields = dict(re.findall(r"^([\w-]+): ?(.*)$", unfolded, re.MULTILINE))
            if "Package" in fields:
                packages.setdefault(fields["Package"], fields)
    return list(packages.values())


def debian(arguments: argparse.Namespace) -> dict[str, Any]:
    packages = read_packages(arguments.packages)
    sections = [[package.get("Section", "").rpartition("/")[2]] for package in packages]
    tags = [package.get("Tag", "").replace(",", " ").split() for package in packages]
    texts = [package.get("Description", "") for package in packages]
    tagged = [index for index, words in enumerate(tags) if words]
    result: dict[str, Any] = {"date": arguments.date, "packages": len(packages)}
    if "sections" in arguments.tasks:
        result["sections"] = classify(texts, sections, arguments, single_label=True)
    tagged_texts, tagged_tags = ([values[index] for index in tagged] for values in (texts, tags))
    if "tags" in arguments.tasks:
        result["tags"] = classify(tagged_texts, tagged_tags, arguments, single_label=False)
    if "heads" in arguments.tasks:
        result["tag heads"] = tag_heads(tagged_texts, tagged_tags, arguments)
    return result


def split_texts(count: int, seed: int, labelled: float) -> tuple[Rows, Rows, Rows]:
    """Return the texts to train, to validate and to test on."""
    order = np.random.default_rng(seed).permutation(count)
    tenth = count // 10
    train = order[2 * tenth : 2 * tenth + round(labelled * count)]
    return train, order[:tenth], order[tenth : 2 * tenth]


def classify(
    texts: Sequence[str],
    words: Sequence[Sequence[str]],
    arguments: argparse.Namespace,
    *,
    single_label: bool,
) -> dict[str, Any]:
    """Measure the classifiers of texts."""
    labels = choose_labels(words, MIN_PACKAGES)
    kept = np.flatnonzero(labels.truth.any(axis=1))
    truth = labels.truth[kept]
    start = time.process_time()
    corpus = Corpus.build([texts[index] for index in kept])
    print(f"{len(kept)} texts, graph in {time.process_time() - start:.0f} s", flush=True)
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in CLASSIFIERS}
    for seed in range(arguments.seeds):
        train, validation, test = split_texts(len(kept), seed, arguments.labelled)
        for name in CLASSIFIERS:
            start = time.process_time()
            result = train_classifier(
                name,
                corpus,
                truth,
                train,
                validation,
                seed=seed,
                width=arguments.width,
                single_label=single_label,
                max_epochs=arguments.epochs,
            )
            values = asdict(result.metrics(truth, test))
            right = truth[test, result.logits[test].argmax(axis=1)].mean()
            seconds = time.process_time() - start
            extra = {"accuracy": 100 * float(right), "epochs": result.epochs, "seconds": seconds}
            runs[name].append(values | extra)
            print(f"seed {seed} {name}: {values['mean_ap']:.1f} mAP, {extra}", flush=True)
    return {
        "texts": len(kept),
        "words": corpus.features.shape[1],
        "edges": int(corpus.graph.values().numel()),
        "labels": truth.shape[1],
        "labelled": round(arguments.labelled * len(kept)),
        "rows": summary(runs),
    }


def tag_heads(
    texts: Sequence[str], words: Sequence[Sequence[str]], arguments: argparse.Namespace
) -> dict[str, Any]:
    """Measure the heads on components of texts: the graph of labels at full scale."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    labels = choose_labels(words, MIN_PACKAGES)
    vectors = TfidfVectorizer(min_df=2, sublinear_tf=True).fit_transform(texts)
    pooled = TruncatedSVD(COMPONENTS, random_state=0).fit_transform(vectors).astype(np.float32)
    nothing = np.zeros((len(texts), 1, 1), np.float32)
    features = Features(pooled, nothing, nn.Linear(1, 1))
    _, _, test = split_texts(len(texts), 0, 0.0)
    has_label = labels.truth.any(axis=1)
    learning = np.setdiff1d(np.flatnonzero(has_label), test)
    builders = {
        "linear": heads.LinearHead,
        "ml-gcn": heads.GraphHead,
        "ml-gcn, no edges": graph_head(edges=False),
    }
    rows = measure_heads(features, labels.truth, learning, test, builders, arguments)
    edges = (conditional_probabilities(labels.truth[learning]) >= 0.4).sum() - len(labels.names)
    return {"labels": len(labels.names), "edges": int(edges), "rows": rows}


def print_rows(title: str, rows: dict[str, Any]) -> None:
    print(f"\n{title}\n" + " ".join(["row".ljust(28), *next(iter(rows.values()))]))
    for name, values in rows.items():
        texts = (f"{mean:.1f}±{deviation:.1f}" for mean, deviation in values.values())
        print(name.ljust(28), " ".join(texts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    on_coco = commands.add_parser("coco")
    for name in ("--train", "--test"):
        on_coco.add_argument(name, nargs=2, required=True, metavar=("JSON", "PHOTOS"))
    on_debian = commands.add_parser("debian")
    on_debian.add_argument("--packages", type=Path, nargs="+", required=True)
    on_debian.add_argument("--date", required=True, help="that of the index, for the results")
    on_debian.add_argument("--tasks", nargs="+", default=["sections", "tags", "heads"])
    on_debian.add_argument("--labelled", type=float, default=0.1, help="share to train on")
    on_debian.add_argument("--width", type=int, default=64, help="of TextGCN's vectors")
    on_debian.add_argument("--epochs", type=int, default=60)
    for command in (on_coco, on_debian):
        command.add_argument("--seeds", type=int, default=5)
        command.add_argument("--steps", type=int, default=300)
        command.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    tasks: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {"coco": coco}
    result = tasks.get(arguments.command, debian)(arguments)
    for title, task in [("coco", result), *result.items()]:
        if isinstance(task, dict) and "rows" in task:
            print_rows(title, task["rows"])
    if arguments.json:
        write(arguments.json, {"environment": environment(), **result})


if __name__ == "__main__":
    main()
