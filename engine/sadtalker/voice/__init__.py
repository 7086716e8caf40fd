"""What a voice makes a face do: expression by ExpNet, head poses by PoseVAE."""
