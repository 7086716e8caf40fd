"""Home of the audio-to-visual diffusion prior (docs/architecture.md); nothing of it is built yet."""
