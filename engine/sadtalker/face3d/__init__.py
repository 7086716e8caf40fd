"""A photograph's coefficients: where its face is, and the 3DMM network that reads them."""
