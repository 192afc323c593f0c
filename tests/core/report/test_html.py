"""The report: one file, nothing from outside, every name escaped."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from recam_cli.core.report.canvas import jpeg_bytes, png_bytes
from recam_cli.core.report.html import (
    ClassTable,
    Picture,
    ReportData,
    StageSettings,
    SummaryRow,
    data_uri,
    percent_text,
    render_report,
    seconds_text,
    value_text,
)

EVIL = "<script>alert('1')</script>\"&{{ 7*7 }}"
DOT = np.zeros((1, 1, 3), np.uint8)


def full(name: str = EVIL) -> ReportData:
    return ReportData(
        title=name,
        subtitle=name,
        notes=[name],
        summary=[SummaryRow(name, 60.34, 75.0, name, name), SummaryRow("seeds")],
        curves=[Picture(name, png_bytes(DOT), name)],
        sheets=[Picture(name, jpeg_bytes(DOT), name)],
        tables=[ClassTable(name, (name,), ((name, (None,)), ("cow", (12.3,))))],
        settings=[StageSettings(name, name, ((name, name, "flag"), ("crop", 321, "default")))],
        versions={name: name},
    )


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def tags(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Tags()
    parser.feed(page)
    assert parser.open == []
    return parser.seen


def test_names_are_escaped_wherever_they_stand():
    page = render_report(full())
    assert not [tag for tag, _ in tags(page) if tag == "script"]
    assert "{{ 7*7 }}" in page and "&lt;script&gt;" in page


def test_the_page_loads_nothing_from_outside():
    page = render_report(full())
    addresses = [a[k] or "" for _, a in tags(page) for k in ("src", "href") if k in a]
    assert len(addresses) == 2 and all(address.startswith("data:image/") for address in addresses)
    assert "http:" not in page and "https:" not in page and "url(" not in page
    assert "default-src 'none'" in page


def test_every_picture_says_what_it_shows():
    images = [a for tag, a in tags(render_report(full("curve"))) if tag == "img"]
    assert all(image["alt"] == "curve" for image in images)


def test_equal_data_gives_an_equal_page():
    assert render_report(full()) == render_report(full())


def test_an_empty_report_has_only_its_heading():
    page = render_report(ReportData(title="runs/x"))
    assert "<h1>runs/x</h1>" in page and "<h2>" not in page


def test_the_page_can_be_written_as_utf8_whatever_a_file_is_called():
    assert "bad ?" in render_report(ReportData(title="bad \udcff")).encode("utf-8").decode()


def test_figures_and_sources_are_shown():
    text = re.sub(r"\s*<[^>]+>\s*", "|", render_report(full("cow")))
    assert "|60.3|" in text and "|1 min 15 s|" in text and "|flag|" in text and "|–|" in text


def test_images_become_data_addresses():
    assert data_uri(png_bytes(DOT)).startswith("data:image/png;base64,iVBOR")
    assert data_uri(jpeg_bytes(DOT)).startswith("data:image/jpeg;base64,/9j/")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"),
     (3599.7, "1 h 00 min"), (7380, "2 h 03 min"), (None, "–"), (float("nan"), "–")],
)  # fmt: skip
def test_durations_read_as_people_say_them(seconds, text):
    assert seconds_text(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (True, "yes"), (False, "no"), (0.1, "0.1"), (1e-5, "1e-05"), ((1.0, 0.5), "1, 0.5")],
)  # fmt: skip
def test_values_read_as_one_writes_them(value, text):
    assert value_text(value) == text


def test_percents_have_one_decimal_or_a_dash():
    assert (percent_text(57.66), percent_text(0.0), percent_text(None)) == ("57.7", "0.0", "–")
