"""One module a figure: `draw(frames, models, path)`."""
