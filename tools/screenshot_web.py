"""Take the picture of the demo's page in the README: `python -m tools.screenshot_web`.

Compiles the embedded net as `onnx2snn demo` does, writes its page, and stops its run before the end.
"""

from __future__ import annotations

import io
import tempfile
from importlib import resources
from pathlib import Path

import click
from PIL import Image

import onnx2snn
from onnx2snn.analysis.evaluation import open_reference
from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.data.readers import open_dataset
from onnx2snn.model.file import write_atomically
from onnx2snn.runtime.session import SpikingSession
from onnx2snn.web.onnxruntime_web import fetch_package, read_package
from onnx2snn.web.page import make_page, save_page
from tools.chromium import open_chromium

PICTURE = Path(__file__).parents[1] / "docs/images/web.png"
#: In CSS pixels; it ends behind the second layer of the raster.
WIDTH, HEIGHT = 1200, 1340
#: A 3, which after the first timestep looks like a 9.
SAMPLE, TIMESTEPS = 3, 5
DIGITS = Preprocessing(scale=1 / 16)


@click.command()
@click.option("--onnxruntime-web", "package", help="The unpacked npm package.  [default: fetched by npm]")
def main(package: str | None) -> None:
    """Write the picture."""
    runtime = fetch_package() if package is None else read_package(package)
    with tempfile.TemporaryDirectory() as name, resources.as_file(resources.files("onnx2snn.demo")) as demo:
        source = Path(name) / "digits.snn.onnx"
        calibration = demo / "digits_calibration.npz"
        onnx2snn.compile(demo / "digits.onnx", calibration, preprocessing=DIGITS, signed=True).save(source)
        session = SpikingSession(source)
        dataset = open_dataset(demo / "digits_test.npz", session.inputs, DIGITS, 12)
        reference = open_reference(demo / "digits.onnx", session)
        index = save_page(Path(name) / "page", make_page(source, session, dataset, runtime, reference)).index
        picture = _photograph(index)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(PICTURE, _smaller(picture))


def _photograph(index: Path) -> bytes:
    """The page after some timesteps, as PNG."""
    with open_chromium() as browser:
        page = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT}, reduced_motion="reduce", color_scheme="light"
        )
        page.goto(index.as_uri())
        page.locator("html[data-state=paused]").wait_for(state="attached")
        page.locator(f"#samples input[value='{SAMPLE}']").check()
        page.wait_for_timeout(500)
        for timestep in range(1, TIMESTEPS + 1):
            page.get_by_role("button", name="Step").click()
            page.locator(f"html[data-timestep='{timestep}']").wait_for(state="attached")
        page.mouse.move(0, 0)
        page.locator("h1").click()
        return page.screenshot()


def _smaller(picture: bytes) -> bytes:
    """The same picture in 128 colours, which it hardly has more of."""
    buffer = io.BytesIO()
    few = Image.open(io.BytesIO(picture)).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    few.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
