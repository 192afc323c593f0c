"""Training: augmentation, loaders, schedules, precision and the loop that classifiers and segmenters share."""
