"""Parts of the page aliases."""
