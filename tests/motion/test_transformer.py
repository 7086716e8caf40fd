"""The causal transformer and its ring cache, well past the wrap-around."""

from __future__ import annotations

import pytest
import torch
from streaming_proofs import prove_all

from engine.motion.transformer import CausalAttention, CausalTransformer
from engine.streaming import RingKVCache

pytestmark = pytest.mark.cpu


def attention(context: int, max_chunk: int) -> CausalAttention:
    torch.manual_seed(0)
    layer = CausalAttention(16, 2, context, max_chunk)
    torch.nn.init.normal_(layer.bias)
    return layer


@pytest.mark.parametrize("context", [1, 3, 8])
def test_attention_streams(context: int) -> None:
    layer = attention(context, 7)
    prove_all(layer, layer, torch.randn(3, 40, 16))


def test_transformer_streams() -> None:
    torch.manual_seed(0)
    model = CausalTransformer(16, 2, 2, context=8, max_chunk=7)
    prove_all(model, model, torch.randn(3, 50, 16))


def test_attention_reaches_back_over_its_context_and_no_further() -> None:
    layer, x = attention(5, 1), torch.randn(1, 20, 16, requires_grad=True)
    layer(x)[0, 12].sum().backward()
    assert x.grad is not None
    reached = x.grad[0].abs().sum(1).nonzero()[:, 0].tolist()
    assert reached == [8, 9, 10, 11, 12]


def test_bias_knows_distance() -> None:
    layer = attention(4, 1)
    torch.nn.init.zeros_(layer.bias)
    plain = layer(torch.ones(1, 6, 16))
    with torch.no_grad():
        layer.bias[0] = 100.0  # look at nothing but oneself
    x = torch.randn(1, 6, 16)
    torch.testing.assert_close(layer(x)[:, 3:], layer(x[:, 3:]))
    assert plain.shape == (1, 6, 16)


def test_cache_gives_positions_of_what_it_holds() -> None:
    cache = RingKVCache(2, 1, 1, context=3, max_chunk=2, like=torch.zeros(1))
    assert cache.capacity == 4
    step = torch.zeros(2, 1, 1, 1)
    _, _, held, given = cache.complete(step, step)
    assert given.tolist() == [[0], [0]]
    assert sorted(held[0].tolist()) == [-1, -1, -1, 0]
    for k in range(1, 6):
        keys, _, held, given = cache.complete(step + k, step, torch.tensor([True, k < 2]))
        assert torch.equal(keys[0, 0, :, 0], held[0].clamp(min=0).float()), "each slot holds the key of its position"
    assert sorted(held.tolist()[0]) == [2, 3, 4, 5]
    assert sorted(held.tolist()[1]) == [-1, -1, 0, 1]
    cache.reset(torch.tensor([True, False]))
    _, _, held, given = cache.complete(step, step)
    assert given.tolist() == [[0], [2]]
    assert sorted(held.tolist()[0]) == [-1, -1, -1, 0]


def test_ring_of_context_alone_would_lose_keys_so_it_is_larger() -> None:
    layer, x = attention(4, 7), torch.randn(1, 28, 16)
    layer.eval()
    whole = layer(x)
    with layer.streaming(1):
        state = layer._state
        assert state is not None
        assert state.cache.capacity == 4 + 7 - 1
        torch.testing.assert_close(torch.cat([layer(piece) for piece in x.split(7, 1)], 1), whole)


def test_misuse_is_explained() -> None:
    layer = attention(4, 2)
    with layer.streaming(1):
        with pytest.raises(ValueError, match="at most 2 steps, got 3"):
            layer(torch.zeros(1, 3, 16))
        with pytest.raises(RuntimeError, match="already streaming"), layer.streaming(1):
            pass
        with pytest.raises(ValueError, match=r"bool mask of shape \[1\]"):
            layer.reset(torch.zeros(2, dtype=torch.bool))
    with pytest.raises(RuntimeError, match="inside"):
        layer.reset(torch.ones(1, dtype=torch.bool))
    with pytest.raises(ValueError, match="does not divide"):
        CausalAttention(10, 3, 4)
