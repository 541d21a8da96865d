"""One page about one or several models: what they do when images turn, and why.

collect  what the page shows: evaluation, agreement between elements, film strips, exactness by size
charts   the drawings, as SVG
page     the page itself: one HTML file that asks no network for anything
table    the comparison as Markdown
"""

from zoo.report.collect import Entry as Entry
from zoo.report.collect import collect as collect
from zoo.report.page import page as page
from zoo.report.table import compared as compared

__all__ = ["Entry", "collect", "compared", "page"]
