"""From matplotlib to an `svg` element that belongs to the page: its font, its colours, light or dark.

Figures are drawn in the colours of `THEME`, each of which stands for a variable of the page's style sheet.
Only this module imports matplotlib for reports, and it never touches pyplot.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from onnx2snn.report.content import Plot
from onnx2snn.report.plots import BLUE, CARD, GREEN, GREY, GRID, INK, MUTED, OLIVE, ORANGE, PINK, PURPLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Colour in the drawing → variable in the style sheet, which has it in light and in dark.
THEME = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    CARD: "card",
    BLUE: "blue",
    ORANGE: "orange",
    GREEN: "green",
    PURPLE: "purple",
    PINK: "pink",
    OLIVE: "olive",
    GREY: "grey",
}
#: Width of a plot, and of a small one, in units of which a letter is nine high: a phone shows either in full.
HALF, SMALL = 330.0, 250.0
_POINTS_PER_INCH = 72
_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "hatch.linewidth": 0.9,
    "legend.borderaxespad": 0.2,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,  # layer names may have a $
    "xtick.color": GREY,
    "xtick.labelcolor": MUTED,
    "ytick.color": GREY,
    "ytick.labelcolor": MUTED,
}
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_LONG_NUMBER = re.compile(r"(\d+\.\d\d)\d+")
_REFERENCE = re.compile(r"(?:^|(?<=url\())#([\w.-]+)")
_FONT_FAMILY = re.compile(r"font-family:[^;]*;? ?")
_DRAWN = ("d", "transform", "x", "y", "width", "height", "points")


def draw(
    key: str,
    title: str,
    description: str,
    paint: Callable[[Figure], None],
    *,
    height: float,
    width: float = HALF,
    caption: str = "",
) -> Plot:
    """One picture of a page.

    Args:
        key: a name that no other picture of the page has.
        title: what it shows, in a few words.
        description: what there is to see, for a reader who cannot.
        paint: draws into an empty figure, in colours of `THEME`.
        height: of the figure, in the units of `HALF`.
        width: `HALF` or `SMALL`.
        caption: what one must know to read it.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    buffer = io.BytesIO()
    with mpl.rc_context(), warnings.catch_warnings():
        # The page's font may have the letters that matplotlib's lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        mpl.rcdefaults()  # not the style of whoever makes the report
        mpl.rcParams.update({**_STYLE, "svg.hashsalt": key})
        figure = Figure(figsize=(width / _POINTS_PER_INCH, height / _POINTS_PER_INCH), layout="constrained")
        canvas: Any = FigureCanvasSVG(figure)
        paint(figure)
        canvas.print_svg(buffer, metadata={"Date": None})
    return Plot(key, title, description, _adapt(buffer.getvalue(), key, title, description), caption)


def bar_axes(figure: Figure, rows: list[str], values: str) -> Axes:
    """Axes for horizontal bars, the first row on top."""
    axes: Axes = figure.add_subplot()
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", visible=True)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(values)
    return axes


def _adapt(drawing: bytes, key: str, title: str, description: str) -> str:
    """The file of matplotlib as an element of the page."""
    root = ElementTree.fromstring(drawing)
    elements = list(root.iter())
    for element in elements:
        element.tag = element.tag.rsplit("}", 1)[-1]
        element.tail = None
        element.text = element.text if element.tag == "text" else None
        element.attrib = dict(_attributes(element))
    for parent in elements:
        for child in list(parent):
            if child.tag in ("metadata", "style") or (child.tag == "defs" and not _drawn(child)):
                parent.remove(child)
    _rename(root, key)
    viewbox = root.attrib["viewBox"]
    root.attrib = {"viewBox": viewbox, "role": "img", "aria-labelledby": f"{key}-title {key}-description"}
    for name, text in (("description", description), ("title", title)):
        element = ElementTree.Element("desc" if name == "description" else name, {"id": f"{key}-{name}"})
        element.text = text
        root.insert(0, element)
    return ElementTree.tostring(root, encoding="unicode")


def _attributes(element: ElementTree.Element) -> list[tuple[str, str]]:
    """An element's attributes in short, colours as the page's variables."""
    attributes = {name.rsplit("}", 1)[-1]: value for name, value in element.attrib.items()}
    style = _FONT_FAMILY.sub("", attributes.pop("style", "")).strip("; ")
    for name in ("fill", "stroke"):
        if name in attributes:
            style = f"{name}: {attributes.pop(name)}; {style}".strip("; ")
    if style:
        attributes["style"] = _COLOUR.sub(_variable, style)
    if attributes.get("transform", "").startswith("rotate(-0 "):
        del attributes["transform"]
    return [
        (name, _LONG_NUMBER.sub(r"\1", " ".join(value.split())) if name in _DRAWN else value)
        for name, value in attributes.items()
    ]


def _variable(colour: re.Match[str]) -> str:
    name = THEME.get(colour.group())
    return colour.group() if name is None else f"var(--{name})"


def _drawn(element: ElementTree.Element) -> bool:
    return any(child.tag != "style" for child in element)


def _rename(root: ElementTree.Element, key: str) -> None:
    """Keep the ids that something refers to, under names of this picture alone."""
    wanted: dict[str, str] = {}
    for element in root.iter():
        for name in ("href", "clip-path", "style"):
            for old in _REFERENCE.findall(element.attrib.get(name, "")):
                wanted.setdefault(old, f"{key}-{len(wanted)}")
    for element in root.iter():
        identity = element.attrib.pop("id", None)
        if identity in wanted:
            element.attrib["id"] = wanted[identity]
        for name in ("href", "clip-path", "style"):
            if name in element.attrib:
                element.attrib[name] = _REFERENCE.sub(
                    lambda match: f"#{wanted[match.group(1)]}", element.attrib[name]
                )
