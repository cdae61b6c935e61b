"""Subcommands of `caffeflow weights`, one file each."""
