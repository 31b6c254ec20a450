"""`duologue doctor`: finds out why a client and its server do not get along.

`settings` and `explanations` decide and explain from facts alone; `probes` collects the facts, and
`command` shows the checks.
"""
