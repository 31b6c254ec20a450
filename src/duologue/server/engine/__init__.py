"""Engines of the server: the protocols of their stages, and the stages that come with duologue."""
