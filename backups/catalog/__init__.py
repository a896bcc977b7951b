"""What the portal knows of what lies in repositories: which snapshots, who made them, under which names."""
