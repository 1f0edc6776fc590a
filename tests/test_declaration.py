"""How an option is declared."""

from __future__ import annotations

from dataclasses import dataclass, fields

import pytest

from onnx2snn.declaration import Declaration, option


@dataclass(frozen=True)
class Chosen:
    size: int = option(3, "Neurons", "How many.", bounds=(1, 8), short="s")


def test_all_that_is_known_of_an_option_stands_with_its_field():
    (field,) = fields(Chosen)
    assert Chosen() == Chosen(size=3)
    assert field.metadata["option"] == Declaration("Neurons", "How many.", bounds=(1, 8), short="s")


def test_what_is_no_part_of_a_declaration_is_refused():
    with pytest.raises(TypeError, match="colour"):
        option(3, "Neurons", "How many.", colour="red")
