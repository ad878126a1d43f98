"""What a comparison shows: tables, pictures, the page, the file; and the command."""

from __future__ import annotations

import json
import re
import shlex

import pytest

import sdeplug as sp
from sdeplug import VPSDE, solver
from sdeplug.compare import Comparison, Conditions, Work, compare
from sdeplug.errors import ArgumentError

VP = VPSDE()
HEUN, EM = map(solver, ("ode/heun", "song/euler-maruyama"))


@pytest.fixture(scope="module")
def result():
    return compare(
        {"Heun": HEUN, "<EM>": EM}, sp.targets.eight_gaussians(), VP,
        nfe=(4, 10), seeds=2, samples=300,
    )  # fmt: skip


@pytest.fixture(scope="module")
def images():
    target = sp.targets.Gaussian([[[0.0, 0.5], [-0.5, 0.0]]], 0.1 * sp.targets.Gaussian(
        [0.0] * 4, std=1.0).covariance)  # fmt: skip
    return compare({"Heun": HEUN, "EM": EM}, target, VP, nfe=(6,), seeds=2, samples=300)


def test_the_table_has_a_row_for_each_row_and_the_floor(result):
    sheet = result.table()
    assert sheet.columns == (
        "solver", "score error", "budget", "NFE", "seconds", "overhead",
        "sliced-w2", "mode-weights", "mode-moments",
    )  # fmt: skip
    assert len(sheet.rows) == 8 + 1
    assert sheet.rows[-1][0] == "exact draws"
    for row, line in zip(result.rows, sheet.rows, strict=False):
        assert line[0] == row.solver
        assert line[6] == str(row.values["sliced-w2"])
    assert sheet.rows[-1][6] == str(result.rows[0].floor["sliced-w2"])
    assert "seconds" not in result.table(times=False).columns


def test_a_table_is_text_and_markdown(result):
    sheet = result.table(times=False)
    lines = sheet.markdown().splitlines()
    assert len(lines) == 2 + len(sheet.rows)
    assert {line.count("|") for line in lines} == {len(sheet.columns) + 1}
    for line in (*sheet.rows, sheet.columns):
        for cell in line:
            assert cell in str(sheet)


def test_the_picture_has_panels_for_both_axes_and_both_costs(result):
    figure = result.plot()
    panels = figure.axes
    assert [panel.get_xlabel() for panel in panels] == ["score evaluations", "seconds"] * 2
    assert panels[0].get_title(loc="left") == "exact score"
    assert panels[2].get_title(loc="left") == "score error 0.1"
    for panel in panels:
        assert panel.get_xscale() == panel.get_yscale() == "log"
        labels = panel.get_legend_handles_labels()[1]
        assert {"Heun", "<EM>", "Pareto front", "floor: exact draws"} <= set(labels)
    (front,) = (line for line in panels[0].lines if line.get_label() == "Pareto front")
    best = result.best(10).values["sliced-w2"].mean
    assert front.get_ydata()[-1] == best
    assert result.plot("mode-weights").axes[0].get_ylabel() == "mode-weights"
    with pytest.raises(ArgumentError, match="one of sliced-w2"):
        result.plot("entropy")


def test_shares_are_drawn_on_a_linear_axis(images):
    assert images.plot("recall").axes[0].get_yscale() == "linear"
    assert images.plot("frechet").axes[0].get_yscale() == "log"


def test_samples_are_shown_beside_exact_ones(result, images):
    titles = [panel.get_title() for panel in result.samples_plot().axes]
    assert [title for title in titles if title] == [
        "exact draws", "Heun, 4", "Heun, 10", "<EM>, 4", "<EM>, 10",
    ]  # fmt: skip
    assert result.rows[0].points((2,)).shape == (300, 2)
    assert images.rows[0].points((1, 2, 2)).shape == (16, 1, 2, 2)
    assert sum(bool(panel.images) for panel in images.samples_plot(0.1).axes) == 3


def test_the_trilemma_has_quality_diversity_and_speed(images, result):
    sheet = images.trilemma()
    assert sheet.columns == (
        "solver", "quality: frechet", "quality: precision", "quality: density",
        "diversity: recall", "diversity: coverage", "speed: NFE", "speed: seconds",
    )  # fmt: skip
    assert [line[0] for line in sheet.rows] == ["Heun", "EM", "exact draws"]
    assert sheet.rows[0][4] == str(images.rows[0].values["recall"])
    assert images.trilemma(0.1).rows[0][4] == str(images.rows[2].values["recall"])
    with pytest.raises(ArgumentError, match="some of quality"):
        result.trilemma()


def test_the_page_needs_no_other_file_and_says_everything(result, images):
    page = result.to_html()
    assert page.count("data:image/png;base64,") == 3
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert not re.findall(r"https?:|<script|@import|url\(", page)
    assert "&lt;EM&gt;" in page
    assert "<EM>" not in page
    for row in result.rows:
        assert str(row.values["sliced-w2"]) in page
    assert f"torch</dt><dd>{result.versions['torch']}" in page
    assert "compare(" in page
    assert "trilemma" not in page
    assert "trilemma" in images.to_html()


def test_the_file_holds_everything(result, images, tmp_path):
    for each in (result, images):
        path = tmp_path / "result.json"
        path.write_text(each.to_json())
        again = Comparison.load(path)
        assert again == each
        assert str(again.table()) == str(each.table())
    plain = json.loads(result.to_json(times=False))
    assert {"seconds", "overhead"} & set(plain["rows"][0]) == set()
    assert "machine" not in plain["versions"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"rows": [{}]}', '{"format": 9}'])
def test_another_file_is_refused(text, tmp_path):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ArgumentError, match="that of a comparison"):
        Comparison.load(tmp_path / "x.json")
    with pytest.raises(ArgumentError, match="readable"):
        Comparison.load(tmp_path / "gone.json")


# The command


QUICK = ("--nfe", "4,8", "--seeds", 2, "-n", 100, "--score-error", "0")


def test_the_command_gives_what_the_function_gives(sdeplug, tmp_path):
    status, out, err = sdeplug(
        "compare", "ode/heun", "song/ancestral", "--sde", "ve:sigma_max=10", "--target",
        "two-modes", "--metric", "sliced-w2:directions=5", "--grid", "karras:rho=5",
        "--stochasticity", "0,1", *QUICK, "--json", "r.json", "--html", "r.html", "--plot",
        "r.png", "--resume", "cells",
    )  # fmt: skip
    assert (status, err) == (0, "")
    found = Comparison.load(tmp_path / "r.json")
    from sdeplug.compare import Contender
    from sdeplug.metrics import SlicedW2

    wanted = compare(
        {
            "ode/heun": HEUN,
            "song/ancestral, l = 0": Contender(solver("song/ancestral"), 0.0),
            "song/ancestral, l = 1": Contender(solver("song/ancestral"), 1.0),
        },
        sp.targets.two_modes(),
        sp.VESDE(sigma_max=10.0),
        nfe=(4, 8), seeds=2, samples=100, metrics={"sliced-w2:directions=5": SlicedW2(5)},
        conditions=Conditions(sp.Karras(1, rho=5.0), (0.0,)), work=Work(resume=tmp_path / "cells"),
    )  # fmt: skip
    assert found.rows == wanted.rows
    assert found.settings["target"] == "two-modes"
    for row in found.rows:
        assert row.solver in out
    assert (tmp_path / "r.png").stat().st_size > 10_000
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    # The command on the page repeats the comparison: all of it is in the folder already.
    (command,) = re.findall(r"<pre>(.*?)</pre>", page, re.DOTALL)
    kept = set((tmp_path / "cells").iterdir())
    words = shlex.split(command.replace("&#39;", "'"))
    assert sdeplug(*words[1:], "--resume", "cells")[0] == 0
    assert set((tmp_path / "cells").iterdir()) == kept


@pytest.mark.slow
@pytest.mark.thorough
def test_two_processes_give_the_same_file(sdeplug, tmp_path):
    for jobs in (1, 2):
        words = ("compare", *QUICK, "--jobs", jobs, "--json", f"{jobs}.json")
        assert sdeplug(*words)[0] == 0
    one, two = (Comparison.load(tmp_path / f"{jobs}.json") for jobs in (1, 2))
    assert len(one.rows) == 8 * 2
    assert one.to_json(times=False) == two.to_json(times=False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ode/hune"], "Did you mean 'ode/heun'"),
        (["song/langevin"], "an integrator"),
        (["ode/heun:speed=3"], "speed"),
        (["--target", "nine"], "eight-gaussians"),
        (["--sde", "vq"], "vp"),
        (["--nfe", "ten"], "10,20"),
        (["--nfe", "20,10"], "rising"),
        (["--nfe", "0"], "at least 1"),
        (["--seeds", "0"], "seeds"),
        (["--metric", "frechet"], "one that suits"),
        (["--metric", "sliced-w3"], "sliced-w2"),
        (["--grid", "log"], "log-snr"),
        (["--grid", "at"], "points"),
        (["--samples", "1"], "samples"),
        (["--score-error", "-1"], "--score-error"),
        (["--stochasticity", "one"], "--stochasticity"),
        (["--stochasticity", "0,1"], "with a SOLVER"),
        (["ode/heun", "--stochasticity", "-1"], "stochasticity"),
        (["--plot", "x.txt"], "png"),
        (["--html", "nowhere/x.html"], "nowhere"),
        (["--json", "."], "a file"),
        (["--jobs", "0"], "from 1"),
        (["--resume", "file"], "a folder"),
    ],
)
def test_wrong_input_gives_one_line_and_status_2(sdeplug, tmp_path, words, said):
    (tmp_path / "file").write_text("")
    status, _, err = sdeplug("compare", *words)
    assert status == 2
    assert err.startswith("sdeplug: ")
    assert err.count("\n") == 1
    assert said in err
