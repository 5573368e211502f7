"""The server around the pages: ASGI, middleware, sessions, endpoints."""
