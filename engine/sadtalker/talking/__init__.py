"""A voice and a portrait made a talking face: whole films, and streams."""
