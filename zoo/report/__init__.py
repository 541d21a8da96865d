"""One page about one or several models: what they do when images turn, and why.

This package can be called: `zoo.report(models, data)` is `zoo.report.report`, everything in one call.

run              several models on the same images, in one call
collect          what the page shows of a model: evaluation, agreement between elements, exactness by size
measures         errors in float64: under elements, along motions, layer by layer
rotation_strips  images that turn, and what the model predicts
record           all of that as JSON, and back
charts           the drawings, as SVG
page             one HTML file that needs no network
table            the comparison of the models
class_table      their scores by class
"""

from symdata.lazy import make_callable
from zoo.report.collect import ModelEntry as ModelEntry
from zoo.report.collect import collect as collect
from zoo.report.page import page as page
from zoo.report.record import SavedReport as SavedReport
from zoo.report.record import read_record as read_record
from zoo.report.run import report as report
from zoo.report.table import compared as compared

make_callable(__name__, report)
