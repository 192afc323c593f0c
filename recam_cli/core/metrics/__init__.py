"""Figures: confusion matrix, IoU, the threshold sweep of seeds, the split of errors, average precision."""
