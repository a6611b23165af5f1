"""How fast the package is, and what of that its decisions rest on: `make bench`, and `python -m benchmarks --help`."""
