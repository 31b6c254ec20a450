"""Translation between the dialects: `to_beta` and `to_ga`, for every event of either side.

Fields that both dialects have are renamed. Unknown fields move with the object that contains them.
What the other dialect lacks is reported as a `Loss`. Four rules add or merge content without loss,
because the other dialect has no equal form:

- Beta's `conversation.item.created` becomes GA's `.added`, followed by `.done` unless the item is
  in progress. GA's `.done` becomes no event, because beta has already reported the item.
- Audio includes its text: GA's modalities `["audio"]` are beta's `["text", "audio"]`.
- GA requires fields that are optional in beta. Turn detection without a type becomes `server_vad`,
  `pcm16` gets its rate, and the missing `content` of a message or `arguments` of a call are empty.
- An empty object of GA (`audio: {}`) has no effect, and is absent in beta.
"""

from __future__ import annotations

from duologue.protocol.translate._detect import detect_dialect
from duologue.protocol.translate._events import to_beta, to_ga
from duologue.protocol.translate._losses import Loss, LossRule, Translation

__all__ = ["Loss", "LossRule", "Translation", "detect_dialect", "to_beta", "to_ga"]
