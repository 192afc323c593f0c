"""What is said of classes that were not learned: which, how sure that is, and what to do."""

from __future__ import annotations

from recam_cli.core.metrics.unlearned import unlearned_lines

WELL = {"verdict": "learned", "photographs": 20, "ap": 90.0, "low": 80.0, "high": 95.0, "chance": 40.0}
CHANCE = {"verdict": "not learned", "photographs": 9, "ap": 31.4, "low": 20.0, "high": 50.0, "chance": 40.0}
FEW = {"verdict": "too few", "photographs": 3, "ap": None, "low": None, "high": None, "chance": None}


def test_nothing_is_said_where_all_is_well_or_nothing_is_known():
    assert unlearned_lines({}) == [] and unlearned_lines({"cat": WELL}) == []


def test_classes_at_chance_are_named_with_figures_and_those_of_few_photographs_apart():
    chance, few = unlearned_lines({"cat": WELL, "dog": CHANCE, "emu": FEW})
    assert "1 of 3 classes: dog (AP 31 % of 9 photographs, chance reaches 40 %)" in chance and "emu" not in chance
    assert few.startswith("too few photographs") and few.endswith("emu (3)")


def test_where_it_is_every_class_that_is_said():
    (line,) = unlearned_lines({"cat": CHANCE, "dog": CHANCE})
    assert "every class: cat" in line
