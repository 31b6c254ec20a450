"""What is on the wire: the types of each dialect, and the codec between them and bytes.

`duologue.protocol.ga` holds the types, `codec` decodes and encodes, `formats` counts audio. Pure data:
nothing here waits, reads a clock or opens a socket.
"""
