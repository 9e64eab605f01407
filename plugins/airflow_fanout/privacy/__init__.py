"""What people may read: secrets and personal data stay out of it."""
