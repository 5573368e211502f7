"""All writes: each method takes the actor, asks for one permission, records what was wanted."""
