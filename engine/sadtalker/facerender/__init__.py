"""The 3D-aware face render: from coefficients to keypoints, and from keypoints to pictures (SadTalker 3.3)."""
