"""One thin module per subcommand: parse, resolve settings, call one stage, print its result."""

COMMANDS = {
    "run": "From a folder of photographs with image-level labels to masks, a segmenter and a report.",
    "demo": "Run the whole pipeline on the built-in data set: no data, no network, under 3 minutes.",
    "train-cls": "Train the classifier (CAM, then ReCAM) on image-level labels; starts a run.",
    "make-seeds": "Read class activation maps from the classifier: the seeds.",
    "make-masks": "Grow the seeds into pseudo masks (random walk, dense CRF).",
    "train-seg": "Train a segmentation network on the pseudo masks and predict held-out images.",
    "evaluate": "Score seeds, pseudo masks or predictions against true masks.",
    "visualize": "Show what a run sees in photographs: class maps, seed, mask and prediction.",
    "predict": "Segment photographs with the run's segmenter: one palette mask each.",
    "report": "Write report.html: figures, curves and pictures of a run on one page.",
    "rerun": "Repeat a run from its manifest and compare the results.",
    "check-data": "Check a data set: every image, label and mask, all problems at once.",
    "status": "Show what a run holds and the next command.",
    "import-weights": "Turn a torch file of backbone weights (.pth) into safetensors, once.",
}
"""Name → one line for `recam --help`, in its order. A command's module has the name with _ for -, and holds `COMMAND`.

They are imported one at a time, so that help and completion answer at once.
"""
