"""What filmed jaws do beside what a phone-driven teacher says of them: a linear correction, learned from films.

The teacher's table is one opinion on how far each phone opens the mouth, and people differ from it together: they open
more for an h before its vowel, less for an r, a d or the schwa. What the branch thinks tells more than what it says.
Nothing here has a memory, and silence is left as it is: people's mouths rest more or less open, ours closed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.motion.facial.articulators import ARTICULATORS, JAW, barely_apart
from engine.motion.facial.phones import INDEX, OPEN_VOWELS, PHONES, SILENCE, VOWELS

HEARD = len(ARTICULATORS) + len(PHONES)
LIMIT = 0.25  # farthest that a jaw is corrected, in the articulators' units
FULL, ROOM = 0.7, 1.5  # jaw from which films open it no further; how much more than fitted a closed one gains
WIDE, HELPED = 0.5, 0.65  # jaw that viewers expect of an open vowel; share of the way there that it is helped
SPOKEN_APART = 0.12  # jaw that a vowel keeps, beside what every open mouth keeps
THOUGHT = 0.1  # of a thought's numbers, to be of the size of the others


class FilmedJaw(nn.Module):
    """Articulators [B, k, 9] and phone probabilities [B, k, P] -> articulators with the jaw as films show it.

    ``thought`` is how many numbers D the branch's thoughts [B, k, D] have, where they are read as well; 0 for none.
    Until `usual` [9 + P + D] and `share` [9 + P + D] are fitted (`engine.training.lips.filmed_jaw_fit`), it helps open
    vowels only.
    """

    usual: Tensor
    share: Tensor
    open_vowels: Tensor
    vowels: Tensor

    def __init__(self, thought: int = 0) -> None:
        super().__init__()
        self.register_buffer("usual", torch.zeros(HEARD + thought))
        self.register_buffer("share", torch.zeros(HEARD + thought))
        self.register_buffer("open_vowels", torch.tensor([INDEX[p] for p in OPEN_VOWELS]), persistent=False)
        self.register_buffer("vowels", torch.tensor([INDEX[p] for p in VOWELS]), persistent=False)

    def forward(self, articulators: Tensor, phones: Tensor, thought: Tensor | None = None) -> Tensor:
        jaw = articulators[..., JAW]
        wide = phones[..., self.open_vowels].sum(-1)
        heard = [articulators, phones] if thought is None else [articulators, phones, THOUGHT * thought]
        moved = ((torch.cat(heard, -1) - self.usual) @ self.share).clamp(-LIMIT, LIMIT)
        more = moved.clamp(min=0) * (ROOM * (1 - jaw / FULL)).clamp(min=0)
        less = moved.clamp(max=0) * (1 - wide)  # a viewer waits for open vowels: they are not narrowed
        spoken = 1 - phones[..., INDEX[SILENCE]]
        apart = barely_apart(articulators, SPOKEN_APART * phones[..., self.vowels].sum(-1))
        jaw = torch.maximum(jaw + spoken * (more + less), apart)
        jaw = jaw + HELPED * wide * (WIDE - jaw).clamp(min=0)
        return torch.cat([articulators[..., :JAW], jaw[..., None], articulators[..., JAW + 1 :]], -1)
