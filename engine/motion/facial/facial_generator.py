"""Facial motion from features: VividTalk's generator (section 3.2, eq. 2-3), autoregressive and streaming.

Time: when the frame with index n has just been pushed, the motion emitted is that of frame ``n - look_ahead``. The
first ``look_ahead`` emissions of a row belong to frames before its first and are to be discarded.

The learned branches live side by side in `FacialMotionGenerator`, each with its own transformer, cache and past: the
lip blendshapes and the other ones (both in `animate`), and the lips' vertices (`offset_lips`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from engine.face.blendshapes import NAMES
from engine.face.topology import LIP_VERTICES
from engine.motion.facial.articulators import ARTICULATORS, CLOSE, coupled, spread_matrix, to_blendshapes
from engine.motion.facial.branch import MotionBranch
from engine.motion.facial.closure import ClosureDecoder, closure_score
from engine.motion.facial.filmed_jaw import FilmedJaw
from engine.motion.facial.hurried import Hurried
from engine.motion.facial.inertia import Inertia
from engine.motion.facial.phones import BILABIAL, INDEX, LABIODENTAL, PHONES
from engine.motion.facial.surer_closure import SurerClosure, said_of_closure
from engine.motion.facial.upper_face import UNIT, UpperFace
from engine.streaming import State, StreamingModule

IDENTITY = 150  # length of the identity code alpha of the face model
VERTEX_LIMIT = 4.0  # of the lip-vertex branch's values, whose usual size is 1


@dataclass(frozen=True)
class FacialConfig:
    """Sizes of the generator; travels with the weights."""

    features: int = 160
    dim: int = 160
    layers: int = 2
    heads: int = 4
    context: int = 64  # frames each layer looks back over
    look_aheads: int = 4  # 0, 40, 80, 120 ms
    dropout: float = 0.0
    vertex_modes: int = 0  # directions that the lip-vertex branch moves the lips in; 0 for none
    vertex_dim: int = 64
    upper_dim: int = 0  # width of the branch for the face above the mouth; 0 for none
    hurried_dim: int = 0  # width of what corrects the lips without look-ahead; 0 for none
    reads_thoughts: bool = False  # whether closures and the jaw are read from the lip branch's thoughts as well
    encoder: str = "log-mel"  # the kind of features it was trained with


@dataclass(frozen=True)
class LipEstimate:
    """What the lip branch says about each step. B rows, T steps."""

    articulators: Tensor  # [B, T, 9], the closure as a probability
    next_close: Tensor  # [B, T] logit: lips closed one frame later
    next_labial: Tensor  # [B, T] logit: p, b or m one frame later
    phones: Tensor  # [B, T, len(PHONES)] logits
    thought: Tensor | None = None  # [B, T, 2 dim] what it was said from


def read_lips(raw: Tensor) -> LipEstimate:
    """Name the raw output [B, T, 9 + 2 + len(PHONES)] of the lip branch."""
    n = len(ARTICULATORS)
    close = torch.sigmoid(raw[..., CLOSE : CLOSE + 1])
    articulators = torch.cat([raw[..., :CLOSE], close, raw[..., CLOSE + 1 : n]], -1)
    return LipEstimate(articulators, raw[..., n], raw[..., n + 1], raw[..., n + 2 :])


@dataclass
class GeneratorState(State):
    """Its branches and its closure decoder remember for it."""


class FacialMotionGenerator(StreamingModule[GeneratorState]):
    """features [B, k, F] -> ARKit blendshapes [B, k, 52], each branch feeding on its own past output."""

    spread: Tensor
    bilabial: Tensor
    labiodental: Tensor
    gain: Tensor
    vertex_modes: Tensor

    def __init__(self, config: FacialConfig) -> None:
        super().__init__()
        self.config = config
        self.style = nn.Linear(IDENTITY, config.features, bias=False)  # z_style; zero until identities are learned
        nn.init.zeros_(self.style.weight)
        self.lips = MotionBranch(
            config.features,
            len(ARTICULATORS),
            2 + len(PHONES),
            config.dim,
            config.layers,
            config.heads,
            config.context,
            config.look_aheads,
            config.dropout,
        )
        if config.hurried_dim:
            self.hurried = Hurried(2 * config.dim, config.hurried_dim, len(ARTICULATORS) + 2 + len(PHONES))
        self.closure = ClosureDecoder()
        if config.reads_thoughts:
            self.surer_closure = SurerClosure(2 * config.dim, config.look_aheads)
        self.inertia = Inertia()
        self.filmed_jaw = FilmedJaw(2 * config.dim if config.reads_thoughts else 0)
        self.register_buffer("gain", torch.ones(len(ARTICULATORS)))  # what learning from averages takes away
        if config.vertex_modes:
            self.vertices = MotionBranch(
                config.features,
                config.vertex_modes,
                dim=config.vertex_dim,
                layers=1,
                heads=2,
                context=config.context // 2,
                look_aheads=config.look_aheads,
                dropout=config.dropout,
            )
            self.register_buffer("vertex_modes", torch.zeros(config.vertex_modes, len(LIP_VERTICES), 3))
        if config.upper_dim:
            branch = MotionBranch(
                config.features,
                len(UNIT),
                len(UNIT),
                dim=config.upper_dim,
                layers=1,
                heads=2,
                context=config.context,
                look_aheads=config.look_aheads,
                dropout=config.dropout,
            )
            self.upper_face = UpperFace(branch)
        self.register_buffer("spread", spread_matrix(), persistent=False)
        self.register_buffer("bilabial", torch.tensor([INDEX[p] for p in BILABIAL]), persistent=False)
        self.register_buffer("labiodental", torch.tensor([INDEX[p] for p in LABIODENTAL]), persistent=False)

    def fresh_state(self, batch_size: int) -> GeneratorState:
        return GeneratorState(batch_size)

    def z_style(self, identity: Tensor | None, like: Tensor) -> Tensor:
        """Style embedding [B, F] of identity codes alpha [B, 150]; the mean identity (zeros) when None."""
        return like.new_zeros(like.shape[0], self.config.features) if identity is None else self.style(identity)

    def animate(
        self,
        features: Tensor,
        look_ahead: Tensor,
        identity: Tensor | None = None,
        exec_mask: Tensor | None = None,
    ) -> Tensor:
        """Free-running motion: features [B, k, F], look_ahead [B] int64 in frames, identity [B, 150] or None.

        Returns blendshapes [B, k, 52] within [0, 1]: the lips' and, from weights with that branch, the upper face's.
        """
        return self.utter(features, look_ahead, identity, exec_mask)[0]

    def utter(
        self,
        features: Tensor,
        look_ahead: Tensor,
        identity: Tensor | None = None,
        exec_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """`animate`, and beside it what is said: articulators and the probabilities of phones [B, k, 9 + P]."""
        articulators, phones = self.speak(features, look_ahead, identity, exec_mask)
        articulators = articulators.clamp(0, 1)
        shapes = to_blendshapes(articulators, self.spread)
        shapes = shapes + self.move_upper_face(features, look_ahead, identity, exec_mask)
        return shapes, torch.cat([articulators, phones], -1)

    def move_upper_face(
        self,
        features: Tensor,
        look_ahead: Tensor,
        identity: Tensor | None = None,
        exec_mask: Tensor | None = None,
    ) -> Tensor:
        """The blendshapes above the mouth alone [B, k, 52], drawn by the rows' seeds; arguments as of `animate`."""
        if not self.config.upper_dim:
            return features.new_zeros(*features.shape[:2], len(NAMES))
        if not self.is_streaming:
            with self.streaming(features.shape[0]):
                return self.move_upper_face(features, look_ahead, identity, exec_mask)
        values = self.upper_face(features, look_ahead, self.z_style(identity, features), exec_mask)
        return self.upper_face.to_shapes(values)

    def begin(self, mask: Tensor, seed: Tensor) -> None:
        """Start the rows of ``mask`` [B] anew, the upper face with ``seed`` [B] int64; only when streaming."""
        self.reset(mask)
        if self.config.upper_dim:
            self.upper_face.begin(mask, seed)

    def forget(self, mask: Tensor) -> None:
        """Drop what the rows of ``mask`` [B] were saying; the upper face goes on. Only when streaming."""
        self.lips.reset(mask)
        self.closure.reset(mask)
        self.inertia.reset(mask)
        if self.config.vertex_modes:
            self.vertices.reset(mask)

    def articulate(
        self,
        features: Tensor,
        look_ahead: Tensor,
        identity: Tensor | None = None,
        exec_mask: Tensor | None = None,
        use_past: bool = True,
    ) -> Tensor:
        """`animate` before its articulators [B, k, 9] become blendshapes, closures decoded.

        ``use_past=False`` hides the branch's own past from it, to measure what that past is worth.
        """
        return self.speak(features, look_ahead, identity, exec_mask, use_past)[0]

    def speak(
        self,
        features: Tensor,
        look_ahead: Tensor,
        identity: Tensor | None = None,
        exec_mask: Tensor | None = None,
        use_past: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """`articulate`, and beside it the probabilities of phones [B, k, P]."""
        if not self.is_streaming:
            with self.streaming(features.shape[0]):
                return self.speak(features, look_ahead, identity, exec_mask, use_past)
        lips = self.estimate(features, look_ahead, identity, exec_mask, use_past)
        phones = torch.softmax(lips.phones, -1)
        moved = self.moved(lips, look_ahead, exec_mask)
        return self.filmed_jaw(moved, phones, lips.thought), phones

    def estimate(
        self,
        features: Tensor,
        look_ahead: Tensor,
        identity: Tensor | None = None,
        exec_mask: Tensor | None = None,
        use_past: bool = True,
    ) -> LipEstimate:
        """What the lip branch says, step by step from its own past; arguments as of `articulate`, only streaming."""
        style = self.z_style(identity, features)
        steps, thoughts = [], []
        for k in range(features.shape[1]):
            past = self.lips.past() if use_past else torch.zeros_like(self.lips.past())
            thought = self.lips.think(features[:, k : k + 1], past, look_ahead, style, exec_mask)
            raw = self.lips.say(thought)
            self.lips.remember(fed_back(read_lips(raw).articulators), exec_mask)
            steps.append(raw + self.hurried(thought, look_ahead) if self.config.hurried_dim else raw)
            thoughts.append(thought)
        said = read_lips(torch.cat(steps, 1))
        return replace(said, thought=torch.cat(thoughts, 1)) if self.config.reads_thoughts else said

    def moved(self, lips: LipEstimate, look_ahead: Tensor, exec_mask: Tensor | None = None) -> Tensor:
        """Articulators [B, k, 9] as one mouth moves them: coupled, slowed, closures decoded."""
        said = self.inertia(coupled(lips.articulators * self.gain), look_ahead, exec_mask)
        close, phones = lips.articulators[..., CLOSE], torch.softmax(lips.phones, -1)
        labial = phones[..., self.bilabial].sum(-1)
        score, surer, tucked = closure_score(close, labial), None, None
        following = closure_score(torch.sigmoid(lips.next_close), torch.sigmoid(lips.next_labial))
        if lips.thought is not None:
            said_of = said_of_closure(close, labial, lips.next_close, lips.next_labial)
            surer = self.surer_closure(lips.thought, said_of, score, look_ahead)
            tucked = phones[..., self.labiodental].sum(-1) * self.surer_closure.believed[look_ahead][:, None]
        closed = self.closure(close, score, following, look_ahead, exec_mask, tucked, surer)
        return torch.cat([said[..., :CLOSE], closed[..., None], said[..., CLOSE + 1 :]], -1)

    def offset_lips(
        self,
        features: Tensor,
        look_ahead: Tensor,
        identity: Tensor | None = None,
        exec_mask: Tensor | None = None,
    ) -> Tensor:
        """Free-running lip offsets (eq. 3), arguments as of `animate`.

        Returns [B, k, n, 3] as `engine.contracts.Motion.lip_offsets`; n is 0 for weights without the branch.
        """
        if not self.config.vertex_modes:
            return features.new_zeros(*features.shape[:2], 0, 3)
        if not self.is_streaming:
            with self.streaming(features.shape[0]):
                return self.offset_lips(features, look_ahead, identity, exec_mask)
        style = self.z_style(identity, features)
        steps = []
        for k in range(features.shape[1]):
            said = self.vertices(features[:, k : k + 1], self.vertices.past(), look_ahead, style, exec_mask)
            said = said.clamp(-VERTEX_LIMIT, VERTEX_LIMIT)
            self.vertices.remember(said, exec_mask)
            steps.append(said)
        return torch.einsum("btk,knd->btnd", torch.cat(steps, 1), self.vertex_modes)


def fed_back(articulators: Tensor) -> Tensor:
    """The past as the next step sees it. The bounds make a runaway impossible, whatever is heard."""
    return articulators.clamp(-0.2, 1.2)
