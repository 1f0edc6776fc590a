"""The page in a real browser: it says what Python says, and everybody can read it."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import onnx2snn
from onnx2snn.analysis.evaluation import open_reference
from onnx2snn.data.preprocessing import UNCHANGED
from onnx2snn.data.readers import open_dataset
from onnx2snn.runtime.session import SpikingSession
from onnx2snn.web.page import make_page, save_page
from tests.browser import heading_problems, overflowing, poor_contrast
from tests.helpers import feeds, normal, parse
from tests.web.web_pages import DIGITS

KINDS = {
    "signed": {"signed": True, "timesteps": 8},
    "radix": {"schedule": "layer", "code": "radix", "timesteps": 4},
    "int8": {"schedule": "layer", "weights": "int8", "timesteps": 3},
    "exit": {"signed": True, "timesteps": 6, "early_exit": "confidence:0.99"},
    "graded": {"code": "graded", "timesteps": 5},
    "graded-layer": {"code": "graded", "schedule": "layer", "timesteps": 3, "exponents": 5},
}
SAMPLES = 12
TOLERANCE = 1e-4

LEAKY = """(float[2,3,4,4] x, float[2,3] z) => (float[2,3,4,4] y) {
    c = Conv<pads=[1,1,1,1]>(x, w, b) l = LeakyRelu<alpha=0.5>(c)
    f = Gemm(z, v) r = Relu(f) u = Unsqueeze(r, axes) a = Add(l, u) y = Conv(a, k)
}"""

#: Controls and pictures that a screen reader could not name.
UNNAMED = """() => [...document.querySelectorAll('button, input, canvas, table')]
    .filter((e) => e.checkVisibility() && !(e.ariaLabel || e.labels?.length || e.textContent))
    .map((e) => e.outerHTML)"""
#: How many pixels of the raster a number of spikes covers.
INK = """(count) => {
    const canvas = new OffscreenCanvas(40, 5), context = canvas.getContext("2d");
    const colours = {spike: "rgb(0 0 0)", negative: "rgb(0 0 0)"};
    Band.prototype.drawSpikes.call({layer: {most: 2}}, context, colours, count, 0, 0, 40);
    const {data} = context.getImageData(0, 0, 40, 5);
    return Array.from({length: 200}, (_, i) => data[4 * i + 3] / 255).reduce((a, b) => a + b);
}"""


@pytest.fixture(scope="module")
def pages(digits, runtime, tmp_path_factory):
    """Write the page of a kind of artifact once; gives its folder and the artifact."""
    root = tmp_path_factory.mktemp("pages")

    @functools.cache
    def page(kind: str) -> tuple[Path, Path]:
        source = root / f"{kind}.snn.onnx"
        calibration = digits / "digits_calibration.npz"
        compiled = onnx2snn.compile(
            digits / "digits.onnx", calibration, preprocessing=DIGITS, **{"code": "burst", **KINDS[kind]}
        )
        compiled.save(source)
        session = SpikingSession(source)
        dataset = open_dataset(digits / "digits_test.npz", session.inputs, DIGITS, SAMPLES)
        reference = open_reference(digits / "digits.onnx", session)
        save_page(root / kind, make_page(source, session, dataset, runtime, reference))
        return root / kind, source

    return page


@pytest.fixture
def open_page(browser_page, page_problems):
    """Open a folder's page and wait until it is ready; where motion is not wanted it does not start alone."""

    def opened(folder: Path, **media):
        browser_page.emulate_media(reduced_motion="reduce", **media)
        browser_page.goto((folder / "index.html").as_uri())
        wait(browser_page, "paused")
        return browser_page

    yield opened
    assert page_problems == []


@pytest.fixture(scope="module")
def samples(digits) -> dict[str, np.ndarray]:
    with np.load(digits / "digits_test.npz") as archive:
        images = archive["images"][:SAMPLES].astype(np.float32) * np.float32(1 / 16)
        return {"images": images, "labels": archive["labels"][:SAMPLES]}


def wait(page, state: str, timestep: int | None = None) -> None:
    """Wait for what the page says of itself."""
    at = "" if timestep is None else f"[data-timestep='{timestep}']"
    page.locator(f"html[data-state={state}]{at}").wait_for(timeout=60_000, state="attached")


def choose(page, number: int) -> None:
    page.locator(f"#samples input[value='{number}']").check()
    page.wait_for_timeout(50)
    wait(page, "paused", 0)


def step_all(page, timesteps: int) -> Iterator[int]:
    for time in range(1, timesteps + 1):
        page.get_by_role("button", name="Step").click()
        wait(page, "done" if time == timesteps else "paused", time)
        yield time


def column(page, number: int) -> list[float]:
    """The numbers of the SNN (3) or the ANN (4) in the table of scores, in full precision."""
    cells = page.locator(f"#scores td:nth-child({number}) data")
    return [float(value) for value in cells.evaluate_all("cells => cells.map((cell) => cell.value)")]


def whole(page) -> list[float]:
    """The file's own scores, as marked in the table."""
    marks = page.locator("#scores .track .tick")
    return [float(value) for value in marks.evaluate_all("marks => marks.map((mark) => mark.dataset.score)")]


def spikes(page) -> list[int]:
    """What the page counts in each layer."""
    counts = page.locator("#layers data").evaluate_all("counts => counts.map((count) => count.value)")
    return [int(value) for value in counts]


def raster(page) -> list[np.ndarray]:
    """What the raster shows of each layer, [T, rows]."""
    bands = page.evaluate("player.raster.bands.map((band) => band.columns)")
    return [np.array(band) for band in bands]


def plain(model: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A file's outputs in a plain onnxruntime."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def test_every_timestep_is_pythons(pages, open_page, digits, samples):
    folder, source = pages("signed")
    page = open_page(folder)
    session = SpikingSession(source)
    rows = page.evaluate("description.layers.map((layer) => layer.rows)")
    for number in (0, 3, 7):
        choose(page, number)
        image = samples["images"][number : number + 1]
        run = session.run(image, record=True)
        for time in step_all(page, session.timesteps):
            np.testing.assert_allclose(column(page, 3), run.steps["logits"][time - 1, 0], atol=TOLERANCE)
            sent = [np.abs(train[:time].astype(int)).sum() for train in run.spikes.values()]
            assert spikes(page) == sent
        for shown, train, chosen in zip(raster(page), run.spikes.values(), rows, strict=True):
            np.testing.assert_array_equal(shown, train.reshape(session.timesteps, -1)[:, chosen])
        np.testing.assert_allclose(whole(page), plain(source, {"images": image})["logits"][0], atol=TOLERANCE)
        ann = plain(digits / "digits.onnx", {"images": image})["logits"][0]
        np.testing.assert_allclose(column(page, 4), ann, atol=TOLERANCE)
        winner = str(int(run.outputs["logits"][0].argmax()))
        assert page.inner_text("#figure-winner") == winner
        assert page.inner_text("#figure-ann") == str(int(ann.argmax()))
        assert page.inner_text("#figure-label") == str(samples["labels"][number])
        assert page.inner_text("#status") == f"Timestep 8 of 8: {winner} wins."


@pytest.mark.parametrize("kind", ["graded", "graded-layer"])
def test_graded_spikes_have_a_sign_and_a_size(pages, open_page, samples, kind):
    folder, source = pages(kind)
    page = open_page(folder)
    session = SpikingSession(source)
    choose(page, 3)
    image = samples["images"][3:4]
    run = session.run(image, record=True)
    for time in step_all(page, session.timesteps):
        sent = [np.count_nonzero(train[:time]) for train in run.spikes.values()]
        assert spikes(page) == sent  # one each, of any size
        if kind == "graded":
            np.testing.assert_allclose(column(page, 3), run.steps["logits"][time - 1, 0], atol=TOLERANCE)
    rows = page.evaluate("description.layers.map((layer) => layer.rows)")
    for shown, train, chosen in zip(raster(page), run.spikes.values(), rows, strict=True):
        np.testing.assert_array_equal(shown, train.reshape(session.timesteps, -1)[:, chosen])
    np.testing.assert_allclose(column(page, 3), run.outputs["logits"][0], atol=TOLERANCE)
    np.testing.assert_allclose(whole(page), plain(source, {"images": image})["logits"][0], atol=TOLERANCE)
    said = page.inner_text("#raster-section")
    sizes = 8 if kind == "graded" else 5
    assert "negative spike" in said
    assert f"A mark's length is the spike's size, one of {sizes}: a step shorter, half as much." in said
    ink = INK.replace("{most: 2}", "{most: 1, sizes: 4}")
    drawn = [page.evaluate(ink, size) for size in range(-4, 5)]
    assert drawn[4] == 0
    np.testing.assert_allclose(
        drawn[5:], drawn[5] * np.arange(1, 5), rtol=0.05
    )  # full, the longer the larger
    assert drawn[0] > drawn[1] > drawn[2] > 0  # hollow
    assert 0 < drawn[0] < 0.9 * drawn[8]


@pytest.mark.parametrize("kind", ["radix", "int8"])
def test_a_layer_scheduled_network(pages, open_page, samples, kind):
    folder, source = pages(kind)
    page = open_page(folder)
    session = SpikingSession(source)
    choose(page, 5)
    image = samples["images"][5:6]
    run = session.run(image, record=True)
    for time in step_all(page, session.timesteps):
        assert spikes(page) == [train[:time].astype(int).sum() for train in run.spikes.values()]
        if time < session.timesteps:
            assert column(page, 3) == []
    np.testing.assert_allclose(column(page, 3), run.outputs["logits"][0], atol=TOLERANCE)
    np.testing.assert_allclose(whole(page), plain(source, {"images": image})["logits"][0], atol=TOLERANCE)


def test_a_file_that_stops_by_itself(pages, open_page, samples):
    folder, source = pages("exit")
    page = open_page(folder)
    results = [plain(source, {"images": image[np.newaxis]}) for image in samples["images"]]
    used = [int(result["timesteps_used"]) for result in results]
    number = next(i for i, steps in enumerate(used) if 1 < steps < 6)
    choose(page, number)
    np.testing.assert_allclose(whole(page), results[number]["logits"][0], atol=TOLERANCE)
    page.get_by_role("button", name="Run").click()
    wait(page, "paused", used[number])
    assert "the file stops here" in page.inner_text("#status")
    np.testing.assert_allclose(column(page, 3), results[number]["logits"][0], atol=TOLERANCE)
    page.get_by_role("button", name="Go on").click()
    wait(page, "done", 6)


def test_a_drawing_is_read(pages, open_page):
    """A vertical stroke, small and in a corner, is a 1 of the data set's size in the middle."""
    folder, source = pages("signed")
    page = open_page(folder)
    before = page.evaluate("Array.from(player.feeds.images.data)")
    box = page.locator("#drawing").bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.1 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.5 * box["height"], steps=4)
    page.mouse.up()
    page.locator("#preview[aria-label$='the drawing']").wait_for()
    page.wait_for_timeout(50)
    wait(page, "paused", 0)
    drawn = np.array(page.evaluate("Array.from(player.feeds.images.data)"), np.float32).reshape(1, 1, 8, 8)
    assert drawn.ravel().tolist() != before
    ink = np.argwhere(drawn[0, 0] > 0.25)
    assert ink[:, 0].min() <= 1
    assert ink[:, 0].max() >= 6
    assert set(ink[:, 1]) <= {2, 3, 4, 5}
    page.get_by_role("button", name="Run").click()
    wait(page, "done")
    scores = SpikingSession(source).run(drawn).outputs["logits"][0]
    np.testing.assert_allclose(column(page, 3), scores, atol=TOLERANCE)
    assert page.inner_text("#figure-winner") == str(scores.argmax()) == "1"
    assert page.inner_text("#figure-label") == "–"
    page.get_by_role("button", name="Clear").click()
    assert page.evaluate("document.querySelector('#samples input:checked')") is None


def test_everybody_can_read_it(pages, open_page):
    """On a phone and on a desk, by day and by night, at the beginning and in the end, without colours."""
    page = open_page(pages("signed")[0])
    for time in step_all(page, 8):
        for scheme, width in product(("light", "dark"), (360, 1280)) if time in (1, 8) else ():
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 800})
            assert overflowing(page) == []
            assert poor_contrast(page) == []
    assert heading_problems(page) == []
    shown = (
        "[...document.querySelectorAll('button, input, canvas, table')].filter((e) => e.checkVisibility())"
    )
    unnamed = f"{shown}.filter((e) => !(e.ariaLabel || e.labels?.length || e.textContent))"
    assert page.evaluate(f"{unnamed}.map((e) => e.outerHTML)") == []
    # A spike is full, one taken back is hollow.
    assert page.evaluate(INK, 0) == 0
    assert page.evaluate(INK, 2) == pytest.approx(2 * page.evaluate(INK, 1), rel=0.05)
    assert 0 < page.evaluate(INK, -1) < 0.9 * page.evaluate(INK, 1)


def test_by_keyboard(pages, open_page):
    page = open_page(pages("signed")[0])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "run"
    page.locator("#speed").focus()
    page.keyboard.press("End")
    assert page.inner_text("#speed-value") == "20 timesteps a second"
    page.locator("#run").focus()
    page.keyboard.press("Enter")
    wait(page, "done", 8)
    page.locator("#samples input:checked").focus()
    page.keyboard.press("ArrowRight")
    wait(page, "paused", 0)
    assert page.evaluate("document.querySelector('#samples input:checked').value") == "1"


def test_it_asks_for_nothing_outside_its_folder(pages, browser_page, page_problems):
    """Opened as a file and from a server; where motion is wanted the first sample runs by itself."""
    folder = pages("signed")[0]
    asked: list[str] = []
    browser_page.on("request", lambda request: asked.append(request.url))
    browser_page.goto((folder / "index.html").as_uri())
    wait(browser_page, "running")
    browser_page.get_by_role("button", name="Pause").click()
    wait(browser_page, "paused")
    assert {url for url in asked if not url.startswith((folder.as_uri() + "/", "blob:", "data:"))} == set()

    handler = functools.partial(_Silent, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        root = f"http://127.0.0.1:{server.server_port}/"
        asked.clear()
        browser_page.goto(root)
        wait(browser_page, "running")
        browser_page.goto("about:blank")
        server.shutdown()
    assert {url for url in asked if not url.startswith((root, "blob:", "data:", "about:"))} == set()
    assert page_problems == []


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Print nothing."""


def test_a_page_that_cannot_run_says_so(pages, browser_page, page_problems):
    index = (pages("signed")[0] / "index.html").as_uri()
    browser_page.goto(index)
    wait(browser_page, "running")
    browser_page.evaluate("player.network.sessions.step = null")
    wait(browser_page, "failed")
    assert browser_page.inner_text("#status").startswith("This page cannot run: ")
    browser_page.add_init_script("delete globalThis.WebAssembly")
    browser_page.goto(index)
    wait(browser_page, "failed")
    assert "serve its folder: python3 -m http.server" in browser_page.inner_text("#status")
    assert [problem.partition(":")[0] for problem in page_problems] == ["error", "error"]


def test_two_inputs_a_fixed_batch_and_no_classes(open_page, runtime, rng, tmp_path):
    """Samples by index, spikes below zero, largest values instead of classes."""
    weights = normal(rng, w=(3, 3, 3, 3), b=(3,), v=(3, 3), k=(2, 3, 1, 1))
    net = parse(LEAKY.replace("[2,3,4,4] y", "[2,2,4,4] y"), **weights, axes=np.array([2, 3]))
    source, data = tmp_path / "two.snn.onnx", tmp_path / "data.npz"
    inputs = {name: np.concatenate([feeds(rng, net)[name] for _ in range(2)]) for name in ("x", "z")}
    onnx2snn.compile(net, inputs, timesteps=3, code="burst").save(source)
    np.savez(data, **inputs)
    session = SpikingSession(source)
    save_page(
        tmp_path / "page", make_page(source, session, open_dataset(data, session.inputs, UNCHANGED), runtime)
    )
    page = open_page(tmp_path / "page")
    choose(page, 1)
    run = session.run({name: np.repeat(array[1:2], 2, axis=0) for name, array in inputs.items()}, record=True)
    for time in step_all(page, 3):
        assert spikes(page) == [int(np.abs(train[:time, 0]).sum()) for train in run.spikes.values()]
    assert (run.spikes[session.neurons[0]] < 0).any()
    expected = np.sort(run.outputs["y"][0].ravel())[::-1]
    np.testing.assert_allclose(column(page, 3), expected[: len(column(page, 3))], atol=TOLERANCE)
    assert page.inner_text("#samples") == "0\n1\n2\n3"
    assert page.is_hidden("#seen")
    assert page.is_hidden("#winners-box")
    assert "negative spike" in page.inner_text("#raster-section")


def test_half_precision(open_page, runtime, rng, tmp_path):
    net = parse(
        "(float16[N,6] x) => (float16[N,3] y) { h = Gemm(x, w) r = Relu(h) y = Gemm(r, v) }",
        w=rng.standard_normal((6, 8)).astype(np.float16),
        v=rng.standard_normal((8, 3)).astype(np.float16),
    )
    onnx.checker.check_model(net)
    source, inputs = tmp_path / "half.snn.onnx", rng.standard_normal((3, 6)).astype(np.float16)
    onnx2snn.compile(net, inputs, timesteps=3, code="burst").save(source)
    np.save(tmp_path / "data.npy", inputs)
    session = SpikingSession(source)
    dataset = open_dataset(tmp_path / "data.npy", session.inputs, UNCHANGED)
    save_page(tmp_path / "page", make_page(source, session, dataset, runtime))
    page = open_page(tmp_path / "page")
    run = session.run(inputs[:1], record=True)
    for time in step_all(page, 3):
        np.testing.assert_allclose(column(page, 3), run.steps["y"][time - 1, 0], atol=2e-3)
    np.testing.assert_allclose(whole(page), run.outputs["y"][0], atol=2e-3)
