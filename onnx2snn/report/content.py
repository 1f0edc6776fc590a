"""What a page consists of: sections of sentences, pictures and tables. How they look is the template's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Tile:
    """One figure in large type.

    Attributes:
        value: it, with its unit.
        label: what it is.
        note: what to compare it with; may be empty.
    """

    value: str
    label: str
    note: str = ""


@dataclass(frozen=True)
class Plot:
    """One picture.

    Attributes:
        key: a name that no other picture of the page has.
        title: what it shows, in a few words.
        description: what there is to see in it, for a reader who cannot.
        svg: the drawing, as an `svg` element.
        caption: what one must know to read it; may be empty.
    """

    key: str
    title: str
    description: str
    svg: str
    caption: str = ""


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        caption: what it lists.
        columns: the headings.
        rows: text of the cells; a row's first cell is its heading.
        text: how many of the first columns hold text; the others hold numbers, and are set to the right.
        folded: whether it is shown on demand only, as long lists are.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: int = 1
    folded: bool = False


@dataclass(frozen=True)
class Section:
    """One part of the page.

    Attributes:
        key: its anchor.
        title: its heading.
        lead: sentences ahead of everything else.
        plots: pictures, side by side where there is room.
        tables: below them.
        code: lines to paste, below the sentences; may be empty.
        size: how many pictures share a line where there is room: `half` two, `small` three.
    """

    key: str
    title: str
    lead: Sequence[str] = ()
    plots: Sequence[Plot] = ()
    tables: Sequence[Table] = ()
    code: str = ""
    size: Literal["half", "small"] = "half"
