"""Learned values as arrays: what is in them, and how to begin with good ones."""
