"""Get onnxruntime-web: from the npm registry, or from a folder where it is already."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from onnx2snn.errors import OptionError, first_line

PACKAGE = "onnxruntime-web"
VERSION = "1.30.0"
#: What npm calls the integrity of this version.
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="

SCRIPT = "dist/ort.wasm.min.js"
LOADER = "dist/ort-wasm-simd-threaded.mjs"
BINARY = "dist/ort-wasm-simd-threaded.wasm"
_FILES = (SCRIPT, LOADER, BINARY)

_OPTION = "--onnxruntime-web"
_BY_HAND = f"`npm pack {PACKAGE}@{VERSION}`, unpack it, and give its folder `package` with {_OPTION}"
#: A second try after a moment, and no third one: npm's own patience is minutes.
_SOON = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=1000")
#: Seconds that npm may take; the package has 33 MB.
_PATIENCE = 600


@dataclass(frozen=True)
class OnnxruntimeWeb:
    """The files of onnxruntime-web that the page needs: a script, its loader of WebAssembly, and that."""

    script: bytes
    loader: bytes
    binary: bytes


def read_package(folder: str | Path) -> OnnxruntimeWeb:
    """Read an unpacked package.

    Raises:
        OptionError: the folder holds something else, another version, or not all of it.
    """
    folder = Path(folder)
    remedy = f"run {_BY_HAND}"
    try:
        package = json.loads((folder / "package.json").read_bytes())
        found = f"{package['name']} {package['version']}"
    except OSError as error:
        raise OptionError(
            f"{_OPTION} {folder}: expected the unpacked npm package {PACKAGE} {VERSION}, found no readable "
            f"package.json; {remedy}"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise OptionError(
            f"{_OPTION} {folder}: expected the unpacked npm package {PACKAGE} {VERSION}, found a "
            f"package.json without name and version; {remedy}"
        ) from error
    if found != f"{PACKAGE} {VERSION}":
        raise OptionError(
            f"{_OPTION} {folder}: expected the unpacked npm package {PACKAGE} {VERSION}, found {found}; "
            f"{remedy}"
        )
    try:
        return OnnxruntimeWeb(*((folder / name).read_bytes() for name in _FILES))
    except OSError as error:
        raise OptionError(
            f"{_OPTION} {folder}: expected {', '.join(_FILES)}, cannot read one ({first_line(error)}); "
            f"{remedy}"
        ) from error


def fetch_package(progress: Callable[[str, float], None] | None = None) -> OnnxruntimeWeb:
    """Fetch the package by npm, which keeps it in its cache for the next time.

    Args:
        progress: called with what is being done, and how much of it is.

    Raises:
        OptionError: npm is missing, or the package cannot be had.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise OptionError(
            f"npm: expected on the PATH, to fetch {PACKAGE} {VERSION}, found none; install Node.js, or on "
            f"a machine that has it run {_BY_HAND}"
        )
    if progress is not None:
        progress(f"{PACKAGE} {VERSION} by npm", 0.0)
    with tempfile.TemporaryDirectory() as folder:
        archive = _pack(npm, Path(folder))
        _check_integrity(archive)
        with tarfile.open(archive) as members:
            members.extractall(folder, members=_wanted(members), filter="data")
        return read_package(Path(folder) / "package")


def _pack(npm: str, folder: Path) -> Path:
    """Let npm put the package's archive into a folder."""
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--pack-destination", str(folder), *_SOON]
    try:
        # In that folder, so that no package.json or .npmrc of the user's project has a say.
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _not_had(first_line(error)) from error
    archives = list(folder.glob("*.tgz"))
    if done.returncode != 0 or len(archives) != 1:
        # npm --silent says nothing: ask again for its reason only when it failed.
        raise _not_had(_reason(npm, folder) or f"npm ended with {done.returncode}")
    return archives[0]


def _reason(npm: str, folder: Path) -> str:
    """Why npm cannot see the package, in its own words."""
    command = [npm, "view", f"{PACKAGE}@{VERSION}", "version", "--loglevel", "error", *_SOON]
    try:
        complaint = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_PATIENCE, check=False
        ).stderr
    except (OSError, subprocess.TimeoutExpired) as error:
        return first_line(error)
    lines = [line.removeprefix("npm error ").strip() for line in complaint.splitlines()]
    return "; ".join(
        [line for line in lines if not line.startswith(("code", "syscall", "errno", "at "))][:2]
    )[:200]


def _check_integrity(archive: Path) -> None:
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if integrity != INTEGRITY:
        raise _not_had(f"its integrity is {integrity[:20]}…, not {INTEGRITY[:20]}…")


def _wanted(members: tarfile.TarFile) -> list[tarfile.TarInfo]:
    names = {f"package/{name}" for name in (*_FILES, "package.json")}
    return [member for member in members.getmembers() if member.name in names]


def _not_had(reason: str) -> OptionError:
    return OptionError(
        f"npm: {PACKAGE} {VERSION} cannot be had ({reason}); check the network and npm's registry, or "
        f"elsewhere run {_BY_HAND}"
    )
