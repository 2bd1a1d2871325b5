"""The libraries of the page. npm loads them, checks them, and their files stay unmodified."""

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from burnish.errors import MissingLibraryError
from burnish.files import cache_root, digest, make_folder

PAGE = Path(__file__).parent
_LOCK = (PAGE / "package.json", PAGE / "package-lock.json")

# Files of npm's packages that the page needs: ONNX Runtime's build for WebAssembly alone, and
# libvips without its optional formats.
FILES = (
    "onnxruntime-web/dist/ort.wasm.min.mjs",
    "onnxruntime-web/dist/ort-wasm-simd-threaded.mjs",
    "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm",
    "wasm-vips/lib/vips-es6.js",
    "wasm-vips/lib/vips.wasm",
)
# Licences that are shown with the page.
NOTICES = (
    "wasm-vips/LICENSE",
    "wasm-vips/THIRD-PARTY-NOTICES.md",
)
_SECONDS = 600


def find_libraries() -> Path:
    """Return the folder with the libraries' files, loading them by npm if they are nowhere.

    A wheel may hold them. Otherwise they are in the cache after the first call.

    Raises
    ------
    MissingLibraryError : npm is not installed, or cannot load them
    """
    bundled = PAGE / "libraries"
    if _is_complete(bundled):
        return bundled
    cached = cache_root() / "page" / f"libraries-{digest(*_LOCK)[:12]}"
    if not _is_complete(cached):
        make_folder(cached.parent)
        fetch_libraries(cached)
    return cached


def fetch_libraries(target: Path) -> None:
    """Load the libraries by npm, which compares each with its hash in package-lock.json.

    Raises
    ------
    MissingLibraryError : npm is not installed, or cannot load them
    """
    with TemporaryDirectory(dir=target.parent) as folder:
        for locked in _LOCK:
            shutil.copy(locked, folder)
        _run_npm(Path(folder))
        modules = Path(folder, "node_modules")
        complete = Path(folder, "complete")
        complete.mkdir()
        for file in FILES:
            shutil.copy(modules / file, complete)
        for file in NOTICES:
            shutil.copy(modules / file, complete / file.replace("/", "."))
        try:
            complete.rename(target)
        except OSError:
            if not _is_complete(target):  # by another process, which was faster
                raise


def _run_npm(folder: Path) -> None:
    npm = shutil.which("npm")
    needed = "the page"
    if npm is None:
        problem = "its two libraries are loaded by npm, which is not installed"
        raise MissingLibraryError(needed, problem, "install Node.js, which brings npm")
    # No script of a package is run.
    command = [npm, "ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund"]
    try:
        subprocess.run(
            command, cwd=folder, check=True, capture_output=True, text=True, timeout=_SECONDS
        )
    except (subprocess.SubprocessError, OSError) as error:
        output = str(getattr(error, "stderr", None) or error)
        lines = [line.removeprefix("npm error ") for line in output.splitlines() if line.strip()]
        problem = f"npm cannot load its libraries ({lines[0] if lines else 'no reason given'})"
        raise MissingLibraryError(needed, problem, "check the network and try again") from error


def _is_complete(folder: Path) -> bool:
    return all((folder / name.rpartition("/")[2]).is_file() for name in FILES)
