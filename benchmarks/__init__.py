"""What the package costs and gains in speed, measured: `make bench`, `make bench-scratch`, and what else is here."""
