"""One file an architecture family; `registry` finds them by name."""
