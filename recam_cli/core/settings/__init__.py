"""Settings of every stage, declared once; no torch, no Typer, no pydantic at import time."""
