"""From the official files of a data set to pooled images."""
