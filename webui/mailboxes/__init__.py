"""Parts of the page mailboxes."""
