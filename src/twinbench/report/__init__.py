"""Parquet in, Markdown out."""
