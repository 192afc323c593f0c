"""Class activation maps (CAM, ReCAM), their multi-scale fusion, and the seeds made of them."""
