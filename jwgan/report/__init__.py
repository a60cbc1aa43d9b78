"""What a run leaves behind: metrics, pictures, and one page that shows them.

`writer` appends metrics and writes the page of a run, `trackers` show them elsewhere; `pictures`
and `panels` draw samples, `plots` lines; `page`, `bands` and `article` are the three kinds of page,
`chart` and `html` their parts.
"""

from jwgan.report.panels import Shown, curves, histograms
from jwgan.report.pictures import image_grid, labelled, save_png, scatter
from jwgan.report.provenance import environment
from jwgan.report.rows import read_metrics
from jwgan.report.trackers import Tracker
from jwgan.report.writer import Writer, write_json, write_report

__all__ = [
    "Shown",
    "Tracker",
    "Writer",
    "curves",
    "environment",
    "histograms",
    "image_grid",
    "labelled",
    "read_metrics",
    "save_png",
    "scatter",
    "write_json",
    "write_report",
]
