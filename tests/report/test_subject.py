"""What a report is about: complete without an artifact and without a run."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from onnx2snn.artifact.records import Metadata
from onnx2snn.report.page import PAGES, render
from onnx2snn.report.subject import Subject
from tests.report.subjects import SUBJECTS, compiled


def test_without_an_artifact_and_a_run_it_says_nothing_of_them():
    subject = Subject("sweep", "net.onnx", None, "onnx2snn sweep net.onnx")
    assert subject.metadata == Metadata()
    assert subject.recording is None


def test_subjects_share_nothing():
    first, second = (Subject("compile", name, None, "") for name in ("a", "b"))
    first.metadata.options["timesteps"] = 4
    assert second.metadata.options == {}


def test_every_command_that_has_a_page_has_a_subject():
    assert list(SUBJECTS) == list(PAGES)
    assert [make().command for make in SUBJECTS.values()] == list(PAGES)


def test_of_the_file_only_the_last_part_is_shown():
    subject = compiled()
    assert subject.name == "/home/someone/net.onnx"
    page = render(Subject(subject.command, subject.name, subject.figures, subject.line))
    assert "<h1>net.onnx</h1>" in page
    assert "someone" not in page


def test_it_stays_as_it_is():
    with pytest.raises(FrozenInstanceError):
        compiled().line = "another"
