"""From a net's outputs and the truth to figures; plain numpy."""
