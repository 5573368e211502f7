"""What can be set: by the environment, and in the database."""
