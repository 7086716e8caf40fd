"""Home of video calls: a camera and a microphone that other programs can choose (docs/calls.md)."""
