"""What is allowed: limits, egress, clean prompts."""
