"""Write the site: the page's own files, its libraries and the networks, under hashed names.

Files whose names hold a hash of their content never change. `index.html`, the service worker and
the manifest name them.
"""

import gzip
import json
import shutil
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import burnish
from burnish.detection import detector_file
from burnish.files import cache_root, make_folder
from burnish.modelfile.card import Card
from burnish.modelfile.quality import PREVIEW, STANDARD
from burnish.modelfile.reader import ModelFile, read_model
from burnish.operators.registry import OPERATORS
from burnish.page.libraries import PAGE, find_libraries
from burnish.page.pictures import SAMPLE_PHOTO, srgb_profile, write_pictures
from burnish.params import STRENGTH, Param
from burnish.runtime.model_registry import find_model, model_names

APP = PAGE / "app"
_NOTICES = PAGE / "NOTICES.md"

# Operator -> its use, in the order of the page.
USES = {
    "multiscale-tone": "More contrast",
    "local-laplacian": "More detail",
    "l0-smoothing": "Smooth",
    "dark-channel-dehazing": "Less haze",
    "photographic-style": "Black and white",
    "pencil-drawing": "Pencil",
    "rudin-osher-fatemi": "Less noise",
    "relative-total-variation": "Less texture",
    "tv-l1": "No small things",
    "nonlocal-dehazing": "Less haze, by colour",
}

# Only the worker that runs libvips may evaluate code, which libvips' bindings need.
_EVALUATING = ("photo.worker.js", "vips-es6.js")
_POLICY = (
    "default-src 'none'; connect-src 'self'; img-src 'self' blob: data:; style-src 'self'; "
    "manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "script-src 'self' 'wasm-unsafe-eval'"
)
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_CSP = "Content-Security-Policy"
# Files at the top, whose names stay.
_ENTRY_FILES = ("index.html", "service_worker.js", "manifest.webmanifest", "icon.svg")
# Endings of files that are not needed at the first visit.
_LATER = (".onnx", ".md", "LICENSE", "sample.jpg")
# Files with less than this many bytes are not worth compressing.
_MIN_COMPRESSED_BYTES = 512


def headers(path: str) -> dict[str, str]:
    """Return the HTTP headers of a file of the site, by its path.

    Examples
    --------
    >>> "unsafe-eval" in headers("/app-0/view/main.js")["Content-Security-Policy"].split("'")
    False
    """
    name = path.rpartition("/")[2]
    extra = " 'unsafe-eval'" if name in _EVALUATING else ""
    is_entry = name in ("", *_ENTRY_FILES)
    return {
        **HEADERS,
        _CSP: f"{_POLICY}{extra}; frame-ancestors 'none'",
        "Cache-Control": "no-cache" if is_entry else "public, max-age=31536000, immutable",
    }


def write_site(folder: Path, *, compress: bool) -> list[Path]:
    """Write the site into an empty or new folder, and return its files, relative to the folder.

    Parameters
    ----------
    compress : write each file with gzip and brotli, too

    Raises
    ------
    MissingLibraryError : the page's libraries cannot be loaded
    ModuleNotFoundError : brotli is not installed
    OutputError : the folder cannot be created
    """
    # Nothing is written if a library is missing.
    brotli = import_module("brotli") if compress else None
    libraries = find_libraries()
    make_folder(folder)
    name = f"libraries-{_folder_hash(libraries)}"
    shutil.copytree(libraries, folder / name)
    staged = folder / "app"
    shutil.copytree(APP, staged, ignore=shutil.ignore_patterns(*_ENTRY_FILES))
    operators = list(_operators())
    write_pictures(staged / "pictures", operators)
    shutil.copy(SAMPLE_PHOTO, staged / "sample.jpg")
    (staged / "srgb.icc").write_bytes(srgb_profile())
    cards = {
        "version": burnish.__version__,
        "libraries": f"../{name}/",
        "strength": _describe_param(STRENGTH),
        "operators": {key: _write_operator(key, folder / "models") for key in operators},
        "detector": _write_detector(folder / "models"),
    }
    (staged / "cards.json").write_text(json.dumps(cards, separators=(",", ":")))
    app = folder / f"app-{_folder_hash(staged)}"
    staged.rename(app)
    shutil.copy(_NOTICES, folder / "NOTICES.md")
    _write_entries(folder, app.name)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if brotli is not None:
        for path in files:
            _compress(path, brotli.compress)
    return [path.relative_to(folder) for path in files]


def site_folder() -> Path:
    """Return the folder in the cache for the site of this version of burnish."""
    digest = sha256(_folder_hash(PAGE, "*.py").encode() + _folder_hash(APP).encode())
    for name in _operators():
        digest.update(find_model(name).read_bytes())
    return cache_root() / "page" / f"site-{digest.hexdigest()[:12]}"


def cached_site() -> Path:
    """Return the folder of the site, which is written if it is not in the cache.

    Raises
    ------
    MissingLibraryError, OutputError : as in `write_site`
    """
    folder = site_folder()
    if not folder.is_dir():
        make_folder(folder.parent)
        with TemporaryDirectory(dir=folder.parent) as temporary:
            written = Path(temporary, "site")
            write_site(written, compress=False)
            try:
                written.rename(folder)
            except OSError:
                if not folder.is_dir():  # from another process, which was faster
                    raise
    return folder


def _operators() -> Iterator[str]:
    bundled = set(model_names())
    yield from (name for name in USES if name in bundled)
    yield from sorted(bundled & OPERATORS.keys() - USES.keys())


def _write_operator(name: str, folder: Path) -> dict[str, Any]:
    """Write the networks of an operator that the page runs, and return its description."""
    file, operator = read_model(find_model(name)), OPERATORS[name]
    preview = file.others.get(PREVIEW)
    off = {param.name: param.off for param in operator.params if isinstance(param, Param)}
    return {
        **_write_network(file, folder, f"{name}.network"),
        "quality": STANDARD if file.others else None,
        "preview_network": preview and _write_network(preview, folder, f"{name}.preview"),
        "title": operator.title,
        "use": USES.get(name, operator.title),
        "summary": operator.summary,
        "keywords": operator.keywords,
        "sha256": file.sha256,
        "params": [
            {**_describe_param(param.as_param()), "value": param.value, "slider": param.slider}
            | {"off": off.get(param.name)}
            for param in file.card.params
        ],
    }


def _write_network(file: ModelFile, folder: Path, stem: str) -> dict[str, Any]:
    """Write a network and its start network, as far as they run, and return their description."""
    guide = file.card.guide
    parts = {}
    if file.start is not None:
        parts["start"] = f"{file.card.name}.start", file.start.graph
    if guide is None or not (guide.start and guide.start.full_size):
        parts["network"] = stem, file.graph
    return {
        **_describe_network(file.card),
        "files": {
            part: f"../models/{_write_hashed(folder, stem, '.onnx', graph)}"
            for part, (stem, graph) in parts.items()
        },
    }


def _describe_network(card: Card) -> dict[str, Any]:
    fields = ("halo", "size_multiple", "thumbnail_size", "coords")
    described: dict[str, Any] = {field: getattr(card, field) for field in fields}
    guide = card.guide
    if guide is not None:
        described["guide"] = {
            "size": guide.size,
            "max_ratio": guide.max_ratio,
            "halved": bool(guide.halved),
            "start": {
                **{field: getattr(guide.start, field) for field in fields},
                "full_size": bool(guide.start and guide.start.full_size),
            },
        }
    return described


def _describe_param(param: Param) -> dict[str, Any]:
    fields = ("name", "effect", "low", "high", "scale", "unit", "integer", "size_power")
    return {field: getattr(param, field) for field in fields} | {"value": param.default}


def _write_detector(folder: Path) -> dict[str, Any]:
    card, graph = detector_file.read(detector_file.BUNDLED_DEFAULT)
    file = _write_hashed(folder, f"detector.{card.name}", ".onnx", graph)
    return {
        "file": f"../models/{file}",
        "classes": card.classes,
        "min_size": card.min_size,
        "max_size": card.max_size,
        "calibration": {"slope": card.calibration.slope, "offset": card.calibration.offset},
    }


def _write_entries(folder: Path, app: str) -> None:
    """Write the files whose names stay. They name the folder of the page's own files."""
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    later = sorted(name for name in names if name.endswith(_LATER))
    first = ["./", *_ENTRY_FILES, *sorted({*names} - {*later})]
    values = {
        "APP_FOLDER": app,
        "CONTENT_POLICY": _POLICY,
        "/* FILES */": json.dumps({"first": first, "later": later}),
        "/* HEADERS */": json.dumps({**HEADERS, _CSP: headers("page")[_CSP]}),
        "/* EVALUATING */": json.dumps(_EVALUATING),
    }
    for name in _ENTRY_FILES:
        text = (APP / name).read_text()
        for placeholder, value in values.items():
            text = text.replace(placeholder, value)
        (folder / name).write_text(text)


def _write_hashed(folder: Path, stem: str, suffix: str, data: bytes) -> str:
    make_folder(folder)
    name = f"{stem}.{sha256(data).hexdigest()[:12]}{suffix}"
    (folder / name).write_bytes(data)
    return name


def _folder_hash(folder: Path, pattern: str = "**/*") -> str:
    digest = sha256()
    for path in sorted(path for path in folder.glob(pattern) if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def _compress(path: Path, brotli_compress: Callable[..., bytes]) -> None:
    """Write a file compressed, too, unless that saves little."""
    data = path.read_bytes()
    if len(data) < _MIN_COMPRESSED_BYTES or path.suffix in (".jpg", ".png"):
        return
    # The highest quality takes a minute for ONNX Runtime, and saves 3 % of it.
    quality = 11 if len(data) < 2**18 else 9
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(data, 9, mtime=0))
    path.with_name(f"{path.name}.br").write_bytes(brotli_compress(data, quality=quality))
