"""The pure core of the server: what follows from what the client sent and the engine made."""
