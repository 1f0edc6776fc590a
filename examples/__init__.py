"""Whole stories in one file each, from data to figures; see docs/examples.md."""
