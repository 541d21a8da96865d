"""Docstrings and help texts of symdata, whose inline markup is Markdown's, as the reStructuredText that Sphinx reads.

A name in backticks becomes a link where that name is documented, and code where not. Bars, stars, at signs and trailing
underscores are plain characters: |x| is a norm, no substitution, and so2@45 no address.
"""

import re
from typing import Any

from sphinx.application import Sphinx
from sphinx.ext import napoleon

NAME = re.compile(r"(?:symdata|zoo)(?:\.\w+)+|[A-Z]\w*(?:\.\w+)*")
CODE = re.compile(r"(``.+?``|:[\w:]+:`[^`]+`|(?<![\w`:])`[^`\n]+`)")


def inline(line: str) -> str:
    """One line of prose."""
    parts = CODE.split(line)
    parts[::2] = [re.sub(r"([|*@\\])", r"\\\1", re.sub(r"(?<=\w)_(?!\w)", r"\\_", part)) for part in parts[::2]]
    for k, part in enumerate(parts[1::2]):
        if re.fullmatch(r"`[^`]+`", part):
            parts[2 * k + 1] = f":py:obj:{part}" if NAME.fullmatch(part[1:-1]) else f"`{part}`"
    return "".join(parts)


def prose(lines: list[str]) -> list[str]:
    """A docstring; its examples, and what is indented after a blank line, stay as they are."""
    found: list[str] = []
    display = 0
    """The indentation of the lines that stay, 0 outside of them."""
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if not line.strip() or (display and indent >= display):
            found.append(line)
            continue
        display = 0
        before = next((earlier for earlier in reversed(found) if earlier.strip()), "")
        if line.lstrip().startswith(">>>"):
            display = indent
            found.append(line)
        elif before and not found[-1].strip() and indent > len(before) - len(before.lstrip()):
            display = indent
            found += [] if before.rstrip().endswith("::") else [" " * (indent - 4) + "::", ""]
            found.append(line)
        else:
            found.append(inline(line))
    return found


def on_docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Prose first, then Google's sections; not those of an attribute, where napoleon takes `Words: more` for a type."""
    lines[:] = prose(list(lines))
    if what not in ("attribute", "data", "property"):
        napoleon._process_docstring(app, what, name, obj, options, lines)


def on_click(app: Sphinx, ctx: Any, lines: list[str]) -> None:
    """Prose of a help text; a paragraph under backslash-b is a listing."""
    found: list[str] = []
    listing = False
    for line in lines:
        if line.startswith("| "):
            found += [] if listing else ["", ".. code-block:: text", ""]
            found.append(f"   {line[2:]}")
            listing = True
        else:
            found += ([""] if listing and line else []) + [inline(line)]
            listing = False
    lines[:] = found


def on_options(app: Sphinx, ctx: Any, lines: list[str]) -> None:
    """The help of each option is prose, below a directive and its fields."""
    lines[:] = [line if line.lstrip().startswith((".. ", ":")) else inline(line) for line in lines]


def no_arguments(app: Sphinx, ctx: Any, lines: list[str]) -> None:
    """The description says what an argument is; sphinx-click says `Required argument`."""
    lines.clear()


def accessible(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Code and tables that scroll can be reached by key, and a caption is a heading of a level, as axe-core asks."""
    for part, old, new in (
        ("body", "<pre>", '<pre tabindex="0">'),
        ("body", '<div class="table-wrapper', '<div tabindex="0" class="table-wrapper'),
        ("furo_navigation_tree", 'role="heading">', 'role="heading" aria-level="2">'),
    ):
        if part in context:
            context[part] = context[part].replace(old, new)


def setup(app: Sphinx) -> dict[str, bool]:
    """Puts these in the place of napoleon's listener, and beside sphinx-click's."""
    app.setup_extension("sphinx.ext.napoleon")
    for listener in list(app.events.listeners["autodoc-process-docstring"]):
        if listener.handler is napoleon._process_docstring:
            app.disconnect(listener.id)
    app.connect("autodoc-process-docstring", on_docstring)
    app.connect("sphinx-click-process-description", on_click)
    app.connect("sphinx-click-process-options", on_options)
    app.connect("sphinx-click-process-arguments", no_arguments)
    app.connect("html-page-context", accessible, priority=900)  # after furo
    return {"parallel_read_safe": True}
