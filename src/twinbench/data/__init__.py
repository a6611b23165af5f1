"""The data sets: their official files, which are verified and pooled to 14×14 images."""
