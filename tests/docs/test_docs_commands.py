"""Every command and every line of Python in README.md and docs/*.md runs, page by page and in order.

A page starts in a folder of its own with a small net and data of digits under the names that the pages use.
What installs, fetches or builds something is not run, but has to be in `INSTALLS`. The Python of the pages in
`FRAMEWORKS` runs only where their framework is installed, which it is not in CI; their commands run there on
what `stand_in` gives.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import warnings
from dataclasses import dataclass, field
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from PIL import Image

import onnx2snn
from benchmarks.topologies import load_fixture
from onnx2snn.cli import main
from tests.data.event_cases import rows
from tests.docs.pages import PAGES, Block, blocks
from tests.helpers import normal, parse
from tests.tasks.fitted import coco_form, example

#: Commands that install, fetch, activate or build; they are not run.
INSTALLS = {
    "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/onnx2snn demo",
    "python3 -m venv .venv-test && .venv-test/bin/pip install -q -e '.[test]' && "
    ".venv-test/bin/python -m pytest -q",
    "python3 -m venv .venv",
    ". .venv/bin/activate",
    "pip install .",
    'eval "$(tools/fetch_onnxruntime_headers.sh build/onnxruntime)"',
    "PYTHON=.venv-test/bin/python tools/sanitize_kernels.sh build/sanitized 20000",
}
#: What is said to commands that would take long, where the page does not say it itself.
LESS: dict[str, dict[str, str]] = {
    "sweep": {"--kinds": "signed,radix", "--timesteps": "2", "--max-spikes": "4", "--max-loss": "none"},
}
#: Programs that a command needs; without them it is left out, unless CI says that they have to be there.
NEEDS = {"web": "npm"}
#: Frameworks that train and export on these pages; without them `stand_in` gives what the page would.
FRAMEWORKS = {"docs/from-pytorch.md": ("torch", "onnxscript"), "docs/from-keras.md": ("keras", "tf2onnx")}
SHELLS = ("sh", "bash", "console")
SAMPLES = 32


def is_run(block: Block) -> bool:
    """Whether a block has commands, or Python that is no file of the project."""
    return block.language in SHELLS or (block.language == "python" and block.file is None)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A net, the embedded data with pixels from 0 to 255, and what a first compilation gives."""
    folder = tmp_path_factory.mktemp("files")
    demo = resources.files("onnx2snn.demo")
    save_net(folder / "model.onnx")
    for name in ("calibration", "test"):
        with demo.joinpath(f"digits_{name}.npz").open("rb") as file, np.load(file) as data:
            images = (data["images"][:SAMPLES] * 255.0 / 16).round().astype(np.uint8)
            labels = data["labels"][:SAMPLES]
        np.savez(
            folder / ("train.npz" if name == "calibration" else "test.npz"), images=images, labels=labels
        )
    np.save(folder / "x.npy", images[:8])
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        place = folder / "photos" / str(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(place / f"{number:02}.png")
    save_recordings(folder)
    save_tasks(folder)
    calibration = images.astype(np.float32) / 255
    compiled = onnx2snn.compile(folder / "model.onnx", calibration, signed=True)
    compiled.save(folder / "model.snn.onnx")
    return folder


def save_net(path: Path) -> None:
    """A net with the embedded one's input and output, and two layers of neurons, which is soon searched."""
    text = """(float[batch,1,8,8] images) => (float[batch,10] logits) {
        c = Conv<pads=[1,1,1,1], strides=[2,2]>(images, k) r = Relu(c) d = Conv(r, l) s = Relu(d)
        f = Flatten(s) logits = Gemm(f, w) }"""
    onnx.save(
        parse(text, **normal(np.random.default_rng(0), k=(4, 1, 3, 3), l=(6, 4, 3, 3), w=(24, 10))), path
    )


def save_recordings(folder: Path) -> None:
    """A net that eats counts of events, and noise of an event camera."""
    text = """(float[N,2,6,8] input) => (float[N,3] logits) {
        c = Conv(input, k) r = Relu(c) g = GlobalAveragePool(r) f = Flatten(g) logits = Gemm(f, w) }"""
    onnx.save(
        parse(text, **normal(np.random.default_rng(0), k=(4, 2, 3, 3), w=(4, 3))), folder / "events.onnx"
    )
    events = np.concatenate([rows(60, seed) for seed in range(8)])
    for name in ("train", "test"):
        labels = np.arange(8) % 3
        np.savez(folder / f"events_{name}.npz", events=events, offsets=np.arange(9) * 60, labels=labels)


def save_tasks(folder: Path) -> None:
    """A denoiser and a detector, with samples and labels."""
    one = example("restore")
    onnx.save(one.model, folder / "denoiser.onnx")
    np.savez(folder / "denoise_train.npz", images=one.calibration[:SAMPLES])
    np.savez(folder / "denoise_test.npz", images=one.samples[:SAMPLES], labels=one.labels[:SAMPLES])
    one = example("detect")
    onnx.save(one.model, folder / "detector.onnx")
    np.save(folder / "shadows.npy", one.samples)
    (folder / "boxes.json").write_text(json.dumps(coco_form(one.labels)))
    rows = "[(rows[:, :4], rows[:, 4], rows[:, 5]) for rows in outputs['y']]"
    (folder / "my_boxes.py").write_text(f"def decode(outputs):\n    return {rows}\n")


@pytest.fixture
def here(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a page starts in."""
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@dataclass
class Reader:
    """Somebody who does what a page says."""

    page: str
    frameworks: bool = False
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})
    said: str = ""

    def read(self) -> None:
        """Run the page's blocks in order."""
        for block in blocks(self.page):
            place = f"{self.page}:{block.line + 1}"
            if block.language in SHELLS:
                commands = block.commands()
                if block.language != "console" or commands:
                    self.said = ""
                for at, command in commands:
                    self.said += self.run(at, command)
                check_shown(place, block, self.said)
            elif is_run(block):
                self.execute(block)

    def execute(self, block: Block) -> None:
        """Run a block of Python; a traceback names the page and its line."""
        if not self.frameworks and self.page in FRAMEWORKS:
            return
        code = compile("\n" * block.line + block.text, str(PAGES[self.page]), "exec")
        with warnings.catch_warnings():
            if self.frameworks:
                warnings.simplefilter("ignore")  # exporters have much to say
            exec(code, self.names)

    def run(self, place: str, command: str) -> str:
        """Run a command, by click where that will do; what it printed."""
        if command in INSTALLS:
            return ""
        words = shlex.split(command, comments=True)
        name = next((word for word in words[1:] if not word.startswith("-")), "")
        needed = NEEDS.get(name)
        if needed and shutil.which(needed) is None and os.environ.get("ONNX2SNN_REQUIRE_BROWSER") != "1":
            return ""
        if words[0] == "onnx2snn" and not re.search(r"[|<>&;$`]", command.partition(" #")[0]):
            for option, value in LESS.get(name, {}).items():
                words += [] if option in words else [option, value]
            result = CliRunner(env={"COLUMNS": "200"}).invoke(main, words[1:])
            status, printed = result.exit_code, result.output
            if result.exception is not None and not isinstance(result.exception, SystemExit):
                raise AssertionError(f"{place}: {command}") from result.exception
        else:
            assert "onnx2snn" in words, f"{place}: no command of onnx2snn, and not among INSTALLS: {command}"
            path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", command],
                env=os.environ | {"PATH": path, "COLUMNS": "200"},
                capture_output=True,
                text=True,
                check=False,
            )
            status, printed = done.returncode, done.stdout + done.stderr
        assert status == 0, f"{place}: {command}\n{printed}"
        return printed


def check_shown(place: str, block: Block, printed: str) -> None:
    """The output that a page shows is what the commands before it print; … stands for anything."""

    def plain(text: str) -> str:
        return " ".join(text.split())

    lines = {plain(line) for line in printed.splitlines()}
    for line in map(plain, block.output() if block.language == "console" else []):
        if line != "…":
            pattern = ".*".join(map(re.escape, line.split("…")))
            assert any(re.fullmatch(pattern, found) for found in lines), (
                f"{place}: not printed: {line}\n{printed}"
            )


def stand_in(page: str) -> None:
    """What the page's reader has written: the TOML that it shows; what a framework would have."""
    for block in blocks(page):
        if block.language == "toml":
            Path("board.toml").write_text(block.text, encoding="utf-8")
    if page == "docs/from-keras.md":
        onnx.save(load_fixture("keras_sequential.tensorflow"), "model.onnx")
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (SAMPLES, 32, 32, 3), np.uint8)
        np.savez("digits_nhwc.npz", images=images, labels=rng.integers(0, 10, SAMPLES))


@pytest.mark.parametrize("page", [page for page in PAGES if any(map(is_run, blocks(page)))])
@pytest.mark.usefixtures("here")
def test_page(page):
    stand_in(page)
    Reader(page).read()


@pytest.mark.parametrize("page", FRAMEWORKS)
@pytest.mark.usefixtures("here")
def test_page_with_its_framework(page):
    missing = [name for name in FRAMEWORKS[page] if find_spec(name) is None]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)}; what they would write was stood in for")
    Reader(page, frameworks=True).read()


@pytest.mark.parametrize("page", PAGES)
def test_options_in_the_text_exist(page):
    """In inline code, such as `--signed`: commands in blocks are run."""
    context = click.Context(main)
    commands = [main.get_command(context, name) for name in main.list_commands(context)]
    known = {
        option
        for command in (main, *commands)
        for parameter in command.get_params(click.Context(command))
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    prose = re.sub(r"(?ms)^ *```.*?^ *```", "", PAGES[page].read_text(encoding="utf-8"))
    for code in re.findall(r"`([^`\n]+)`", prose):
        if not re.match(r"(-|onnx2snn )", code):
            continue
        for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", code):
            assert option in known, f"{page}: no command has the option {option} of `{code}`"


def test_a_wrong_line_is_named(tmp_path, monkeypatch):
    """By an option, by an error, by output that is another, by a command of something else."""
    monkeypatch.chdir(tmp_path)
    wrong = {
        "```sh\nonnx2snn doctor --loud\n```\n": "wrong:2: onnx2snn doctor --loud",
        "\n```sh\nonnx2snn doctor\nonnx2snn run \\\n  no.onnx\n```\n": "wrong:4: onnx2snn run no.onnx",
        "```console\n$ onnx2snn --version\nonnx2snn 0\n```\n": "wrong:2: not printed: onnx2snn 0",
        "```sh\ncurl example.org\n```\n": "wrong:2: no command of onnx2snn",
    }
    page = tmp_path / "page.md"
    monkeypatch.setitem(PAGES, "wrong", page)
    for text, message in wrong.items():
        page.write_text(text)
        with pytest.raises(AssertionError, match=re.escape(message)):
            Reader("wrong").read()
    page.write_text("```python\n\nraise KeyError('here')\n```\n")
    with pytest.raises(KeyError) as raised:
        Reader("wrong").read()
    assert (raised.traceback[-1].path, raised.traceback[-1].lineno + 1) == (page, 3)
