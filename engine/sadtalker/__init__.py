"""Home of SadTalker's networks (docs/architecture.md); none of them is built yet."""
