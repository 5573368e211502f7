"""CSV in and out, imports in the background."""
