"""SadTalker : coefficients from a voice, and pictures from coefficients. Needs torch."""
