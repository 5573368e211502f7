"""Texts of the screen: one module per page, each with TEXTS = {English: (Japanese, Chinese)}."""
