"""Networks: backbones, the classifier with its two heads, and segmentation networks."""
