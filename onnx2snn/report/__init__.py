"""Reports: tables for a terminal, and one self-contained HTML file of what a command found, with pictures.

`write_report` in `report/page.py` is the entry. A section of the page is one module with a
function that makes it, and the tuple of `page.py` says which command has which, in order. matplotlib and
Jinja2 (extra `report`) are imported only when a report is made.
"""
