"""How good a film is: figures of the picture, of the face in it, and those that need foreign networks."""
