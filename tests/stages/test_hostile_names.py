"""Class names and ids that would be markup, templates or formulas elsewhere are plain text in all that recam writes."""

from __future__ import annotations

import csv
from html.parser import HTMLParser

import pytest

from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.report import ReportSettings
from recam_cli.core.settings.resolve import resolve
from recam_cli.stages import report
from tests.helpers.kills import call
from tests.helpers.tiny_data import make_custom
from tests.helpers.tiny_run import evaluate_run, make_run

SCRIPT, IMAGE, FORMULA = "<script>alert(1)</script>", 'x"><img src=x onerror=alert(1)>', "=1+[red]{{7*7}}[/red]"
CLASSES = (SCRIPT, IMAGE, FORMULA)
IDS = ("=2+3", "<img src=x onerror=alert(2)>", "@[red]x", "{{7*7}}", "-1", "+1")


def rename(data):
    """Give the images of a data set the ids above."""
    for number, new in enumerate(IDS):
        for path in data.rglob("*"):
            if path.suffix in (".txt", ".csv"):
                path.write_text(path.read_text().replace(f"img_{number:03d}", new))
            elif path.stem == f"img_{number:03d}":
                path.rename(path.with_stem(new))
    return data


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("hostile")
    run = make_run(root, data=rename(make_custom(root / "data", classes=CLASSES)))
    for of in ("seeds", "masks"):
        evaluate_run(run, of=of)
    return Run.open(run.path)


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = set(), set(), ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text += data


def test_the_report_shows_them_and_runs_nothing(run):
    data = {"dataset": "custom", "data_root": run.path.parent / "data"}
    page = _Tags()
    page.feed(report.run(resolve(ReportSettings, flags=data), run, SilentReporter()).page.read_text(encoding="utf-8"))
    assert "script" not in page.tags and not {name for name in page.attributes if name.startswith("on")}
    assert all(name in page.text for name in CLASSES)


def test_no_cell_of_any_table_begins_like_a_formula(run):
    tables = list(run.path.rglob("*.csv"))
    assert len(tables) >= 5
    cells = set()
    for table in tables:
        with table.open(newline="", encoding="utf-8") as file:
            cells |= {cell for row in csv.reader(file) for cell in row}
    texts = {cell for cell in cells if not cell.replace(".", "").replace("-", "").isdigit()}
    assert not {cell for cell in texts if cell.lstrip()[:1] in tuple("=+-@")}
    assert {f"'{FORMULA}", SCRIPT, IMAGE, "'=2+3", "'@[red]x", "'{{7*7}}"[1:]} <= cells


def test_the_terminal_prints_them_as_they_are(run):
    data = ("--dataset", "custom", "--data-root", run.path.parent / "data")
    outcome = call("evaluate", "--of", "masks", *data, "--run", run.path, "--quiet")
    assert outcome.code == 0, outcome.err
    for name in CLASSES:
        assert name in outcome.out
