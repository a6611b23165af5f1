"""Stacked strategy: `stack` makes one module of R models, `layers` compute all R at once, `replicas` trains them."""
