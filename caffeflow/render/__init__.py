"""Templates to prototxt: the catalogue of nets, their variables, rendering, and checks before writing."""
