"""The audio-to-visual diffusion prior, and the networks that find what it samples (docs/a2v.md)."""
