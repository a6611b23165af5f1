"""One module a figure: `draw(results, path)`."""
