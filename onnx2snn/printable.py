"""Names from a user's model or file, as they may be shown: on a terminal, in a log, on a page."""

from __future__ import annotations

import json
import unicodedata

#: Categories of Unicode: control and format characters, halves of pairs, what has no meaning, ends of lines.
_UNPRINTABLE = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")


def shown(name: object) -> str:
    """A name as one line of printable characters: it moves no cursor, sets no title and turns no text."""
    text = str(name)
    return text if text.isprintable() else "".join(map(_shown, text))


def shown_lines(text: str) -> str:
    """The same of a text of several lines."""
    return "\n".join(map(shown, text.split("\n")))


def escaped(json_text: str) -> str:
    """JSON of the same content, in which nothing but printable characters and ends of lines is left."""
    if json_text.replace("\n", "").isprintable():
        return json_text
    return "".join(map(_escaped, json_text))


def _shown(letter: str) -> str:
    return "�" if unicodedata.category(letter) in _UNPRINTABLE else letter


def _escaped(letter: str) -> str:
    """The letter, or what stands for it inside of a JSON string, the only place where such are."""
    return letter if letter == "\n" or _shown(letter) == letter else json.dumps(letter)[1:-1]
