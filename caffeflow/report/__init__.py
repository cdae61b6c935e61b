"""Logs, curves, tables and pictures: what a run, a net or a log looks like to a reader."""
