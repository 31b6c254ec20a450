"""The `local:` engine: every stage runs on this machine, without a network.

Needs the packages of `duologue[local]` and fetched weights; `engine.load_stages` reports what is
missing. Importing this package imports none of them.
"""
