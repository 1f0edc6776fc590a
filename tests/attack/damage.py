"""Damage to bytes and to JSON: what a bad disk, a wrong tool or an enemy does to a file."""

from __future__ import annotations

import json
import struct
from random import Random
from typing import Any

_NUMBERS = (b"\x00", b"\xff", b"\x7f", b"\x80")
_SIZES = (0, 1, -1, 1 << 20, (1 << 31) - 1, -(1 << 31))
#: What stands in the place of a value.
_VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1 << 40, 1 << 70, 0.5, -1e308, float("nan"), float("inf"), "", "a", "\x1b]0;x\x07"),
    *("9" * 4400, [], {}, [[]], [1, 2, 3], {"": None}, [None], ["a"], {"a": {"b": []}}),
)


def damage_bytes(content: bytes, rng: Random) -> bytes:
    """Change one thing in a file; sizes in its header are the likeliest."""
    if not content:
        return rng.randbytes(rng.randrange(1, 9))
    near = min(len(content), rng.choice([16, 64, 256, len(content)]))
    place = rng.randrange(near)
    other = min(len(content), place + rng.randrange(1, 65))
    match rng.randrange(8):
        case 0:  # it ends early
            return content[: rng.randrange(len(content))]
        case 1:  # a piece is missing
            return content[:place] + content[other:]
        case 2:  # a piece is there twice
            return content[:other] + content[place:]
        case 3:  # another size
            size = struct.pack("<i", rng.choice(_SIZES))
            return content[:place] + size + content[place + 4 :]
        case 4:  # a bit
            return content[:place] + bytes([content[place] ^ 1 << rng.randrange(8)]) + content[place + 1 :]
        case 5:
            return content[:place] + rng.choice(_NUMBERS) * (other - place) + content[other:]
        case 6:
            return content[:place] + rng.randbytes(rng.randrange(1, 9)) + content[place:]
        case _:
            return content[:place] + bytes([rng.randrange(256)]) + content[place + 1 :]


def damage_json(text: str, rng: Random) -> str:
    """Change one value of a JSON text, one name, or the text itself."""
    if rng.randrange(10) == 0:
        return damage_bytes(text.encode(), rng).decode("utf-8", "replace")
    if rng.randrange(40) == 0:
        return "[" * 100_000
    whole = json.loads(text)
    holder: Any = None
    key: Any = None
    found: Any = whole
    while isinstance(found, dict | list) and found and (holder is None or rng.randrange(4)):
        holder = found
        key = rng.choice(list(found)) if isinstance(found, dict) else rng.randrange(len(found))
        found = holder[key]
    if holder is None:
        return json.dumps(rng.choice(_VALUES))
    match rng.randrange(5):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[rng.choice(["", "unheard of", "\x1b[31m", key.upper()])] = holder.pop(key)
        case 2 if isinstance(holder, list):
            holder.append(holder[key])
        case _:
            holder[key] = rng.choice(_VALUES)
    return json.dumps(whole)
