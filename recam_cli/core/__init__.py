"""What the stages share: data, models, CAMs, masks, training, metrics, runs and reports."""
