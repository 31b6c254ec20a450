"""Who hears, understands, thinks and speaks: the stages, and their implementations."""
