"""The stacked strategy: R models as one module (`stack`), of layers that compute all R at once, and its training."""
