"""Parts of the page logs."""
