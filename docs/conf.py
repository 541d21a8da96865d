"""Sphinx for symdata: `make docs` builds the site of these pages offline, and a warning is an error."""

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS.parent), str(DOCS / "_ext")]

from symdata import __version__ as release  # noqa: E402

project = "symdata"
author = copyright = "The symdata authors"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click", "sphinx_copybutton", "house"]
root_doc = "index"
exclude_patterns = ["_ext", "results/*/notes.md", "results/leaderboard/leaderboard.md"]
suppress_warnings = ["myst-nb.lexer"]
smartquotes = False  # `--size` in a help text stays what one types

html_theme = "furo"
html_title = f"symdata {release}"
html_static_path = ["_static"]
html_css_files = ["house.css"]
html_show_sourcelink = html_copy_source = False

# Executed from a cache whose key is the code. The other notebooks need files and the Hub: the tests run them.
nb_execution_mode = "cache"
nb_execution_cache_path = str(DOCS.parent / "build" / "notebooks")
nb_execution_excludepatterns = ["tutorials/your-*.ipynb"]
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 240
nb_merge_streams = True
nb_output_stderr = "remove"  # progress
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True}
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
napoleon_preprocess_types = False
napoleon_custom_sections = [("Convention", "notes_style"), ("Shape", "notes_style")]

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"
