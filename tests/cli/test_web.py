"""`onnx2snn web`: the page's folder, what is said of it, and what is refused; pages are in tests/web."""

from __future__ import annotations

import pytest

from onnx2snn.web.onnxruntime_web import OnnxruntimeWeb
from tests.cli.calls import call, refused
from tests.web.web_pages import unpack

WEB = "web net.snn.onnx --data data.npz --onnxruntime-web package"


@pytest.fixture
def packaged(place):
    """The working directory with what stands for onnxruntime-web."""
    unpack(OnnxruntimeWeb(b"script", b"loader", b"binary"), place / "package")
    return place


def test_it_says_where_the_page_is_and_how_to_open_it(packaged):
    text = call(*WEB.split(), "--samples", 3, "-o", "my page").stdout
    assert (packaged / "my page" / "index.html").exists()
    page, opening = text.splitlines()
    assert page.startswith("page  my page/index.html: 3 samples, ")
    assert page.endswith("B in all")
    assert opening == "open  by double click, or serve it: python3 -m http.server -d 'my page'"


@pytest.mark.parametrize(("name", "folder"), [("net.snn.onnx", "net-web"), ("net2.onnx", "net2-web")])
def test_the_folder_is_named_after_the_network(packaged, name, folder):
    (packaged / "net2.onnx").write_bytes((packaged / "net.snn.onnx").read_bytes())
    text = call(*WEB.replace("net.snn.onnx", name).split()).stdout
    assert (packaged / folder / "index.html").exists()
    assert f"page  {folder}/index.html: 16 samples, " in text  # all that there are, as they are fewer than 20


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("--samples 0", "--samples: expected at least 1, found 0; leave it out for the default"),
        ("-o out", "out: expected a folder for the page, found a file; choose another with -o"),
    ],
)
def test_it_refuses_in_one_line(packaged, more, message):
    assert refused(packaged, f"{WEB} {more}") == message


def test_an_ann_is_none_of_its_networks(packaged):
    assert refused(packaged, WEB.replace("net.snn.onnx", "net.onnx")) == (
        "net.onnx: expected an .snn.onnx file written by `onnx2snn compile`, "
        "found a model without its neurons; "
        "compile the model first"
    )
