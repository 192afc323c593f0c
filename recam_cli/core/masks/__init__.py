"""Pseudo masks: from seeds to masks, by dense CRF or by the threshold alone, over many images."""
