"""docker-mailserver, by its config volume or by docker exec."""
