"""Conversion of audio: the protocol's formats, sample rates and WAV files."""
