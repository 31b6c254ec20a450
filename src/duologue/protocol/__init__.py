"""What is on the wire: the types of each dialect, and the codec between them and bytes.

`ga` and `beta` hold the types, `codec` decodes and encodes, `translate` turns either dialect into
the other, `validate` finds what a server would refuse, `formats` counts audio. Pure data: nothing
here waits, reads a clock or opens a socket.
"""
