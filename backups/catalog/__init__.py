"""What the portal knows of the snapshots: who made them, and under which names they lie."""
