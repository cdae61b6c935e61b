"""Datasets: sources list images, the one pipeline prepares them, sinks write, readers read them back."""
