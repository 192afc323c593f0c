"""`recam run`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from recam_cli.commands import COMMANDS
from recam_cli.commands.common import Call, Command, print_config
from recam_cli.core.data.problems import some
from recam_cli.core.errors import UsageError
from recam_cli.core.metrics.unlearned import LEARNED
from recam_cli.core.settings.declare import settings_of
from recam_cli.core.settings.groups import DataSettings
from recam_cli.core.settings.resolve import read_tables
from recam_cli.core.settings.run import RunSettings, resolve_stages, stages_until
from recam_cli.terminal import print_table

if TYPE_CHECKING:
    from recam_cli.core.data.recognise import Recognised
    from recam_cli.stages.run_all import RunAllResult

_OF_DATA = ("dataset", "data_root", "labels")


def _execute(call: Call) -> None:
    path: Path | None = call.values["config"]
    tables = read_tables(path, "train-cls", tables=COMMANDS) if path is not None else {}
    quiet = replace(call, values={**call.values, "print_config": False})
    settings = quiet.resolve(RunSettings).settings
    found = _recognised(call, settings, tables.get("train-cls", {}))
    given = {name: getattr(settings, name) for name in settings_of(RunSettings) if name not in (*_OF_DATA, "until")}
    preset = call.values.get("preset") or "auto"
    from recam_cli.core.data.registry import available_splits, labelled_split

    data = DataSettings(dataset=found.dataset, data_root=found.root)  # type: ignore[arg-type]
    stages = resolve_stages(
        given | {"data_root": found.root, "labels": found.labels},
        dataset=found.dataset,
        splits=available_splits(data),
        labelled=labelled_split(data, "train"),
        preset=preset,
        config=tables,
        config_name=str(path or "config file"),
    )
    if call.values["print_config"]:
        for name, resolved in stages.items():
            print_config(name, resolved)
        raise typer.Exit
    from recam_cli.stages import run_all
    from recam_cli.stages.run_plan import Whole

    place = call.run_path or _default_run(call.values["photos"] or found.root)
    whole = Whole(place, stages, stages_until(settings.until), preset, found.why)
    result = run_all.run(whole, call.reporter)
    call.show(result.as_dict(), lambda: _show(result))


def _recognised(call: Call, settings: RunSettings, table: Mapping[str, Any]) -> Recognised:
    """Return the data set that is meant: named, or recognised.

    Raises:
        UsageError: no folder is named, or two.
        DataError: it holds nothing known.
    """
    from recam_cli.core.data.recognise import Recognised, recognise
    from recam_cli.core.data.registry import data_root

    photos: Path | None = call.values["photos"]
    if photos is not None and settings.data_root is not None:
        raise UsageError("PHOTOS and --data-root both name a folder", remedy="Give one of them")
    noted = {name.replace("-", "_"): value for name, value in table.items()}
    known = settings_of(DataSettings)
    values = {name: known[name].parse(noted[name], f"[train-cls] {name}") for name in _OF_DATA if name in noted}
    values |= {name: value for name in _OF_DATA if (value := getattr(settings, name)) is not None}
    folder, dataset, labels = photos or values.get("data_root"), values.get("dataset"), values.get("labels")
    labels = labels.absolute() if labels is not None else None
    if folder is None and dataset is None:
        raise UsageError("no photographs are named", remedy="Name their folder: recam run PHOTOS")
    if dataset is not None:
        root = data_root(DataSettings(dataset=dataset, data_root=folder))
        return Recognised(dataset, root.absolute(), "", labels)
    assert folder is not None
    found = recognise(folder, labels)
    return replace(found, root=found.root.absolute(), labels=found.labels.absolute() if found.labels else None)


def _default_run(photos: Path) -> Path:
    """Return runs/<name of the folder>, so that the same command finds its run again."""
    from recam_cli.core.runs.run import RUNS_FOLDER

    return RUNS_FOLDER / (Path(os.path.abspath(photos)).name or "photos")  # noqa: PTH100 - "." and ".." have no name


def _show(result: RunAllResult) -> None:
    rows = [("photographs", str(result.photographs)), ("classes", str(len(result.classes)))]
    score = result.of("train-cls", "map")
    if "train-cls" in result.results:
        rows.append(("held-out mAP", "n/a" if score is None else f"{score:.2f} %"))
        rows += _unlearned(result.of("train-cls", LEARNED) or {})
    found = result.as_dict()
    names = {"masks": "masks", "segmenter": "segmenter", "predictions": "predictions", "unlabelled": "of unlabelled"}
    rows += [(text, str(found[name])) for name, text in {**names, "report": "report"}.items() if found[name]]
    print_table(("run", str(result.run)), rows)


def _unlearned(learned: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return how many classes were not learned, or have too few photographs to say, and which."""
    titles = {"not learned": "not learned", "too few": "too few photographs"}
    named = {verdict: [name for name, one in learned.items() if one["verdict"] == verdict] for verdict in titles}
    return [(titles[verdict], some(names)) for verdict, names in named.items() if names]


COMMAND = Command(
    name="run",
    details="The folder is recognised: one folder per class, photographs beside labels.csv, VOC, COCO or YOLO. "
    "Interrupted, the same command goes on; its run is `runs/<name of the folder>`.",
    settings=RunSettings,
    execute=_execute,
    arguments={"photos": (Path | None, "Folder of the photographs and their labels.")},
    examples=(
        "recam run photos",
        "recam run photos --backbone mobilenet_v2 --until make-masks",
        "recam run photos --config mine.toml --run runs/second",
    ),
    has_preset=True,
)
