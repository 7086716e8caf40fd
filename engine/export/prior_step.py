"""One look of the audio-to-visual prior as a function, guidance included."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.a2v.prior_network import VALUES, PriorNetwork, guided
from engine.motion.prior.window import HEARD, STYLE


class PriorStep(nn.Module):
    """`PriorNetwork.forward` with sound and without, and `guided`; causal rows hear in both."""

    outputs = ("clean",)

    def __init__(self, model: PriorNetwork) -> None:
        super().__init__()
        self.model = model

    def example(self, rows: int) -> dict[str, Tensor]:
        """Some input, by the names it goes in under."""
        c = self.model.config
        tokens = c.past + c.window
        return {
            "values": torch.randn(rows, tokens, c.frames * VALUES),
            "given": torch.zeros(rows, tokens, c.frames * VALUES),
            "level": torch.rand(rows, tokens) * 1000,
            "sound": torch.randn(rows, tokens, c.frames * HEARD),
            "heard": torch.ones(rows, tokens, c.frames),
            "present": torch.ones(rows, tokens),
            "style": torch.zeros(rows, STYLE),
            "causal": torch.zeros(rows),
            "guidance": torch.ones(rows),
        }

    def forward(
        self,
        values: Tensor,
        given: Tensor,
        level: Tensor,
        sound: Tensor,
        heard: Tensor,
        present: Tensor,
        style: Tensor,
        causal: Tensor,
        guidance: Tensor,
    ) -> Tensor:
        both = [torch.cat([t, t]) for t in (values, given, level, sound, present, style, causal)]
        hears = torch.cat([heard, heard * causal[:, None, None]])
        said = self.model(*both[:4], hears, *both[4:])
        rows = values.shape[0]
        return guided(said[:rows], said[rows:], guidance)
