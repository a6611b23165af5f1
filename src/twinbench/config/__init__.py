"""Typed configuration; never imports torch or pandas, since every planned DAG loads it."""
