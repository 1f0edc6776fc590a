"""Reports: one self-contained HTML file of what a command found, with pictures, for people.

`write_report` is the entry. A section of the page is one module with a function that makes it, and the tuple
of `page.py` says which command has which, in order. matplotlib and Jinja2 (extra `report`) are imported only
when a report is made.
"""

from onnx2snn.report.page import check_report, render, write_report
from onnx2snn.report.subject import Subject

__all__ = ["Subject", "check_report", "render", "write_report"]
