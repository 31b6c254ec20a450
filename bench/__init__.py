"""The figures that duologue stands for: `make bench`, or `python -m bench NAME…`."""
