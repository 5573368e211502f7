"""Who is there: sign-in, sessions."""
