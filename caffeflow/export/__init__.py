"""A deploy net and its weights in the formats of other tools; today ONNX."""
