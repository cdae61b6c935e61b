"""The command line: Click commands that parse, call one workflow and print its result."""
