"""Parts of the page domains."""
