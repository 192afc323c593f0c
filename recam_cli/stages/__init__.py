"""One module per stage: `run(settings, …, reporter) -> result`. No Typer and no Rich here."""
