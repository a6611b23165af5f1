"""One module per data set, each with ``DATASET``; nothing else, since planning imports all of them."""
