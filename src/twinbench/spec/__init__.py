"""What a training does, as typed values: config reads them from files, and training and evaluation work by them."""
