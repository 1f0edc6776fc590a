"""Reads the documentation's pages: README.md and docs/*.md."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))
}

_FENCE = re.compile(r"^( *)(`{3,})([^\s`]*)[^\n]*\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
#: The first line of a block that is a file of the project: its path.
_FILE = re.compile(r"# ((?:onnx2snn|tests)/\S+\.py)\n")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the number of the page's line before its first."""

    page: str
    line: int
    language: str
    text: str

    @property
    def file(self) -> str | None:
        """The path of the file that the block is, in a guide."""
        found = _FILE.match(self.text) if self.language == "python" else None
        return found and found[1]

    def commands(self) -> list[tuple[str, str]]:
        """The commands of a block for the shell, each with the place where it stands; `console` has `$ `."""
        found: list[tuple[str, str]] = []
        text = re.sub(r" *\\\n\s*", " \0", self.text)
        line = self.line
        for part in text.split("\n"):
            line += 1
            place = f"{self.page}:{line}"
            line += part.count("\0")
            command = part.replace("\0", "").strip()
            if self.language == "console":
                command = command.removeprefix("$ ") if command.startswith("$ ") else ""
            if command and not command.startswith("#"):
                found.append((place, command))
        return found

    def output(self) -> list[str]:
        """The lines of output that a block `console` shows."""
        return [line for line in self.text.splitlines() if line.strip() and not line.startswith("$ ")]


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = PAGES[page].read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, match.start(4)), match[3], re.sub(f"(?m)^{match[1]}", "", match[4]))
        for match in _FENCE.finditer(text)
    ]
