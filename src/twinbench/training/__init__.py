"""One training loop for every study, objective and device."""
