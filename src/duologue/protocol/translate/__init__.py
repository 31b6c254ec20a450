"""One dialect in the words of the other: `to_beta` and `to_ga` for every event, both ways.

What both dialects have is renamed; what is unknown follows the object that it stood in; what one
dialect lacks is a `Loss` that the caller can see. Four rules add or merge something without loss,
because the other dialect cannot say it differently:

- `conversation.item.created` becomes `.added`, and `.done` as well if the item is not in progress;
  GA's `.done` alone becomes nothing, for beta has told of the item already;
- audio brings its text: GA's `["audio"]` is beta's `["text", "audio"]`;
- GA wants a type where beta leaves it out: turn detection becomes `server_vad`, `pcm16` brings its
  rate; and it wants a message's `content` and a call's `arguments`, which become empty;
- an empty object of GA (`audio: {}`) says nothing and is not there in beta.
"""

from __future__ import annotations

from duologue.protocol.translate._detect import detect_dialect
from duologue.protocol.translate._events import to_beta, to_ga
from duologue.protocol.translate._losses import Loss, LossRule, Translation

__all__ = ["Loss", "LossRule", "Translation", "detect_dialect", "to_beta", "to_ga"]
