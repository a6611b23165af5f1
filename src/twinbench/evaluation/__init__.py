"""Predictions first; every reported number is computed from them."""
