"""What filmed jaws do beside what a phone-driven teacher says of them: a linear correction, learned from films.

The teacher's table is one opinion on how far each phone opens the mouth, and people differ from it together: they open
more for an h before its vowel, less for an r, a d or the schwa. Nothing here has a memory, and silence is left as
it is: people's mouths rest more or less open, ours closed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.motion.facial.articulators import ARTICULATORS, JAW, barely_apart
from engine.motion.facial.phones import INDEX, OPEN_VOWELS, PHONES, SILENCE

HEARD = len(ARTICULATORS) + len(PHONES)
LIMIT = 0.25  # farthest that a jaw is corrected, in the articulators' units
FULL, ROOM = 0.7, 1.5  # jaw from which films open it no further; how much more than fitted a closed one gains
WIDE, HELPED = 0.5, 0.3  # jaw that viewers expect of an open vowel; share of the way there that it is helped


class FilmedJaw(nn.Module):
    """Articulators [B, k, 9] and phone probabilities [B, k, P] -> articulators with the jaw as films show it.

    Until `usual` [9 + P] and `share` [9 + P] are fitted (`engine.training.lips.filmed_jaw_fit`), it helps open
    vowels only.
    """

    usual: Tensor
    share: Tensor
    open_vowels: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("usual", torch.zeros(HEARD))
        self.register_buffer("share", torch.zeros(HEARD))
        self.register_buffer("open_vowels", torch.tensor([INDEX[p] for p in OPEN_VOWELS]), persistent=False)

    def forward(self, articulators: Tensor, phones: Tensor) -> Tensor:
        jaw = articulators[..., JAW]
        wide = phones[..., self.open_vowels].sum(-1)
        moved = ((torch.cat([articulators, phones], -1) - self.usual) @ self.share).clamp(-LIMIT, LIMIT)
        more = moved.clamp(min=0) * (ROOM * (1 - jaw / FULL)).clamp(min=0)
        less = moved.clamp(max=0) * (1 - wide)  # a viewer waits for open vowels: they are not narrowed
        spoken = 1 - phones[..., INDEX[SILENCE]]
        jaw = torch.maximum(jaw + spoken * (more + less), barely_apart(articulators))
        jaw = jaw + HELPED * wide * (WIDE - jaw).clamp(min=0)
        return torch.cat([articulators[..., :JAW], jaw[..., None], articulators[..., JAW + 1 :]], -1)
