"""Lips and all the rest of a face, told apart from films (I.2 and I.3 of the audio-to-visual prior's supplement)."""
