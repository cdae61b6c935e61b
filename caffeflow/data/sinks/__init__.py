"""Where prepared images go: one module a form of dataset."""
