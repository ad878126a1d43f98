"""In a notebook: results are pictures and tables, nothing is a wall, and bars close."""

from __future__ import annotations

import pytest
import torch

import sdeplug as sp
from sdeplug import VPSDE, Denoise, Leg, LogSNR, OnGrid, Pipeline, ReverseSDE, solver
from sdeplug.compare import compare
from sdeplug.pictures import draw_samples
from sdeplug.testing import check_solver

VP, RING = VPSDE(), sp.targets.eight_gaussians()
LEGS = (Leg(0.001, OnGrid(solver("ode/heun"), LogSNR(4)), 0.5), Leg(0.0, Denoise()))
PIPELINE = Pipeline(ReverseSDE(VP, RING.score(VP)), LEGS)
NETWORK = torch.nn.Sequential(*(torch.nn.Linear(3, 3) for _ in range(50)))


@pytest.mark.parametrize("shape", [(400, 2), (50, 1), (30, 7), (9, 3, 8, 8)])
def test_samples_are_a_line_and_a_picture(shape):
    target = sp.targets.Gaussian(torch.zeros(shape[1:]), std=1.0)
    out = Pipeline(ReverseSDE(VP, target.score(VP)), LEGS).sample(shape)
    assert repr(out).startswith(f"Samples(x: {shape} float32, t=0, nfe=9, seconds=")
    assert "\n" not in repr(out)
    page = out._repr_html_()
    assert page.startswith('<img src="data:image/png;base64,')
    assert f"{shape} float32" in page


def test_samples_that_are_not_finite_have_no_picture():
    out = PIPELINE.sample((4, 2))
    bad = type(out)(out.x / 0.0, out.t, out.nfe, out.seconds, out.nfe_by_row)
    assert "<img" not in bad._repr_html_()


def test_a_pipeline_is_a_few_lines_and_a_table_whatever_its_network_is():
    assert repr(PIPELINE).count("\n") == 2 + len(LEGS)
    assert repr(LEGS[0]) in repr(PIPELINE)
    page = PIPELINE._repr_html_()
    assert page.count("<tr>") == 1 + len(LEGS)
    for cell in ("0.001", "0.5", "Denoise()", "stochasticity"):
        assert cell in page
    wall = Pipeline(ReverseSDE(VP, sp.FromNoise(NETWORK, VP)), LEGS)
    for text in (repr(wall), wall._repr_html_()):
        assert len(text) < 2000
        assert "FromNoise(network=Sequential(...), sde=VPSDE(" in text


WRAPPED = {
    "FromNoise": lambda: sp.FromNoise(NETWORK, VP),
    "ReverseSDE": lambda: ReverseSDE(VP, sp.FromNoise(NETWORK, VP)),
    "Counted": lambda: sp.Counted(sp.FromNoise(NETWORK, VP)),
    "InDtype": lambda: sp.InDtype(NETWORK, torch.float16),
    "Bound": lambda: sp.Bound(NETWORK, input=torch.zeros(300)),
    "Chunked": lambda: sp.Chunked(NETWORK, 4),
    "Checkpointed": lambda: sp.Checkpointed(NETWORK),
    "AnalyticFirst": lambda: sp.AnalyticFirst(NETWORK, VP, torch.zeros(300), 1.0),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_what_holds_a_network_is_a_line(name):
    shown = repr(WRAPPED[name]())
    assert shown.startswith(f"{name}(")
    assert "Sequential(...)" in shown
    assert "\n" not in shown


def test_an_error_about_a_network_is_a_line():
    with pytest.raises(sp.PairingError) as caught:
        sp.FromNoise(VP, NETWORK)
    assert "\n" not in str(caught.value)
    assert "Sequential(...)" in str(caught.value)


def test_a_report_and_a_comparison_are_a_line_and_a_table():
    report = check_solver(solver("song/hold"), fast=True)
    assert repr(report) == f"Report(Hold(): {report.words}, {len(report.results)} checks)"
    assert report._repr_html_().count("<tr>") == 1 + len(report.results)
    result = compare({"Heun": solver("ode/heun")}, RING, VP, nfe=(4,), seeds=1, samples=50)
    assert repr(result).startswith("Comparison(2 rows: Heun; GaussianMixture")
    assert "\n" not in repr(result)
    page = result._repr_html_()
    assert page.startswith('<img src="data:image/png;base64,')
    assert page.count("<tr>") == 1 + 2 + 1


def test_a_plot_shows_itself():
    x = RING.sample(5, noise=sp.SharedNoise(0))
    assert draw_samples(x, RING)._repr_png_().startswith(b"\x89PNG")


CELLS = """
import sys, torch, sdeplug as sp
from sdeplug import *
from sdeplug.compare import compare
sde, ring = VPSDE(), sp.targets.eight_gaussians()
legs = (Leg(sde.eps, OnGrid(solver("ode/heun"), LogSNR(3))),)
pipeline = Pipeline(ReverseSDE(sde, ring.score(sde)), legs)
stdout = sys.stdout
---
pipeline
---
pipeline.sample((100, 2), observers=(Progress(),))
---
result = compare({"Heun": solver("ode/heun")}, ring, sde, nfe=(4,), seeds=1, samples=50)
result
---
print(result.table())
---
result.table()
---
result.plot()
---
from dataclasses import replace
def nan(x, t): return x / 0.0
broken = replace(pipeline, reverse=ReverseSDE(sde, nan))
try:
    broken.sample((4, 2), observers=(Progress(),))
except NonFiniteError:
    print("failed, and closed:", sys.stdout is stdout)
---
from sdeplug.training import *
watch = Journal(every=10, observers=(LossBar(),))
network = networks.ResidualMLP(2, 8)
Trainer(DenoisingLoss(sde)).fit(network, torch.ones(50, 2), steps=40, journal=watch)
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of Jupyter's own packages
@pytest.mark.thorough
def test_a_notebook_shows_pictures_and_tables_and_no_wall():
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    cells = [nbformat.v4.new_code_cell(text.strip()) for text in CELLS.split("---\n")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    _, pipeline, samples, result, printed, table, plot, failed, trained = (
        {kind: data for output in cell.outputs for kind, data in content(output)} for cell in cells
    )
    assert "<table>" in pipeline["text/html"]
    assert "image/png" in samples["text/html"]
    assert samples["text/plain"].startswith("Samples(x: (100, 2) float32")
    assert "evaluations" in samples["stderr"]
    assert "image/png" in result["text/html"]
    assert "<table>" in result["text/html"]
    assert "exact draws" in printed["stdout"]
    assert "<table>" in table["text/html"]
    assert "image/png" in plot
    assert "failed, and closed: True" in failed["stdout"]
    assert "40/40" in trained["stderr"]
    assert " loss " in trained["stderr"]
    assert "averages=1, Mark(step=40, loss=" in trained["text/plain"]
    for shown in (pipeline, samples, result, plot, trained):
        assert len(shown["text/plain"]) < 1000


def content(output):
    """Kinds and data of what a cell has shown."""
    return output["data"].items() if "data" in output else [(output["name"], output["text"])]
