"""One thin module per subcommand: parse, resolve settings, call one stage, print its result."""
