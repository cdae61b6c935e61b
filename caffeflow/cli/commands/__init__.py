"""One module a command, each with a Click object called `command`."""
