"""The wire protocol: the types of each dialect, and the codec between them and bytes.

- `ga` and `beta` hold the types of each dialect, `model` their common bases.
- `codec` decodes and encodes frames; `repair` decodes frames that break the protocol slightly.
- `translate` converts events between the dialects; `dialects` adapts a connection to one of them.
- `validate` finds what the service would reject.
- `formats` converts between bytes, samples and milliseconds of audio.

Everything here is pure: nothing waits, reads a clock or opens a socket.
"""
