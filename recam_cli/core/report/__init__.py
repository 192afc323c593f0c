"""Pictures and pages about a run: overlays, panels, contact sheets, curves and the HTML report."""
