"""One module per figure, with `draw(results, path)`."""
