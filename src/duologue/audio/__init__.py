"""Audio that is not on the wire: files and sample rates. No devices."""
