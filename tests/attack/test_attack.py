"""A short part of the attack, the same every time; and that it names what happens to a candidate."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from random import Random

import pytest

from onnx2snn.data.readers import open_dataset
from onnx2snn.errors import DataError
from tests.attack import child, data, fuzz, hunt, kills, models
from tests.attack.__main__ import PARTS, table
from tests.attack.damage import damage_bytes, damage_json
from tests.attack.faults import LeftError, command
from tests.attack.hunt import Limits, Outcome

QUICK = Limits(seconds=1.0, memory=4.0)
#: A part in which every seed does something else, in two steps of which the second alone matters.
PLANTED = """
import os, time
from onnx2snn.files import check_regular
def steps(seed):
    return 2
def attempt(seed, folder, without=()):
    (folder / "seen.txt").write_text(f"{seed} {sorted(without)}")
    if 1 in without or seed == 0:
        return "ok"
    if seed == 1:
        return "refused"
    if seed in (2, 3):
        check_regular(5)
    if seed == 4:
        os.abort()
    time.sleep(60)
"""


@pytest.mark.parametrize("part", [models, data])
def test_a_few_of_each_are_taken_or_refused(part, tmp_path):
    for seed in range(12):
        folder = tmp_path / str(seed)
        folder.mkdir()
        assert part.attempt(seed, folder) in hunt.FINE


def test_a_kill_leaves_nothing_behind_the_next_run(tmp_path):
    """In a process without threads of sessions, as the attack has it."""
    line = [sys.executable, "-m", "tests.attack.child", "kills", "3", "1", "--folder", str(tmp_path)]
    done = subprocess.run(
        [*line, "--limit", "60", "--memory", "6"], cwd=hunt.ROOT, capture_output=True, text=True, check=False
    )
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert said == [{"seed": 3}, {"seed": 3, "what": "ok", "where": "", "words": ""}]
    assert kills.steps(3) == 0


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """A part that does what it is told, below the name that processes of the attack look for."""
    folder = tmp_path / "tests" / "attack"
    folder.mkdir(parents=True)
    (folder / "planted.py").write_text(PLANTED)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(hunt.ROOT)]))
    import tests.attack

    monkeypatch.setattr(tests.attack, "__path__", [*tests.attack.__path__, str(folder)])
    return "planted"


def test_what_happens_is_counted_once_a_kind_and_made_small(planted, tmp_path):
    found = hunt.hunt(planted, 0, 60, QUICK, tmp_path / "found", most=6)
    assert dict(found.counts) == {"ok": 1, "refused": 1, "traceback": 2, "abort": 1, "hang": 1}
    kinds = {outcome.seed: (outcome.what, without) for outcome, without in found.faults.values()}
    needless = frozenset({0})
    assert kinds == {2: ("traceback", needless), 4: ("abort", needless), 5: ("hang", needless)}
    assert max(found.times.values()) == 2
    text = table({"planted": found})
    assert "planted: 2 × traceback: TypeError files.py:check_regular (seed 2)" in text
    folders = sorted((tmp_path / "found").iterdir())
    assert len(folders) == 3
    assert {(folder / "seen.txt").read_text() for folder in folders} == {f"{seed} [0]" for seed in (2, 4, 5)}
    assert "--only planted --seed 4 --count 1 --without 0" in (folders[0] / "what.txt").read_text()


def test_an_outcome_names_the_frame_of_the_package(tmp_path):
    with pytest.raises(DataError) as raised:
        open_dataset(tmp_path / "none.npy", [])
    assert child.place_of(raised.value) == "data/readers.py:open_dataset"
    assert Outcome(1, "hang", "a").kind == Outcome(2, "hang", "a", "more").kind


def test_a_file_that_nobody_asked_for_is_a_fault(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command(tmp_path, ["doctor", "--json", tmp_path / "x"], ["x"]) == "ok"
    with pytest.raises(LeftError, match="y"):
        command(tmp_path, ["doctor", "--json", tmp_path / "y"])
    assert command(tmp_path, ["inspect", tmp_path / "none"]) == "refused"


def test_damage_is_drawn_by_its_seed():
    whole = json.dumps({"a": [1, {"b": 2}], "c": "d"})
    for seed in range(200):
        one, other = (damage_json(whole, Random(seed)) for _ in range(2))
        assert one == other
        assert damage_bytes(b"abc", Random(seed)) == damage_bytes(b"abc", Random(seed))
    assert damage_bytes(b"", Random(0))


def test_without_atheris_it_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fuzz, "find_spec", lambda _: None)
    begun = time.monotonic()
    assert fuzz.fuzz(0, 600, tmp_path).counts.total() == 0
    assert time.monotonic() - begun < 5
    assert capsys.readouterr().out == "fuzz: not run, atheris is not installed: pip install -e '.[fuzz]'\n"
    assert "fuzz" in PARTS
