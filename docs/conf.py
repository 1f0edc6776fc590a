"""How Sphinx builds this documentation: `sphinx-build -W -n docs build/docs`, without a network."""

import sys
from pathlib import Path

import onnx2snn

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = html_title = "onnx2snn"
version = release = onnx2snn.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click", "from_code"]
exclude_patterns = ["_ext"]
html_theme = "furo"
pygments_dark_style = "github-dark"
html_static_path = ["_static"]
html_css_files = ["onnx2snn.css"]
html_copy_source = html_show_copyright = False

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
highlight_language = "none"  # a block without a language is an equation or a drawing
default_role = "code"  # docstrings put names in single backticks

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_custom_sections = ["Cases"]
napoleon_use_ivar = True
# Types of other packages, private aliases and what passes alone pass on have no page here.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!onnx2snn\.).*"),
    (r"py:class", r"onnx2snn\.(data\.dataset|calibration\.statistics|runtime\.probing)\..*"),
    (r"py:class", r"onnx2snn\.graph\.(firing|rectifiers)\..*"),
]
