"""The client's core: a pure function from events and time to effects."""
