"""Parts of the page sync."""
