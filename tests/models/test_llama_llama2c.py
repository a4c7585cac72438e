"""LLaMA out of llama2.c's checkpoints, against a forward pass over the file's own floats."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ift_jax.assemble import models
from ift_jax.sharding import make_mesh
from tests.checkpoints.test_llama2c import build
from tests.models.golden import logits, whole
from tests.tokenizers.published import llama as published_tokenizer


def forward(path, tokens_T):
    """float64 logits_TV as llama2.c's run.c computes them; rotary pairs as complex numbers."""
    data = path.read_bytes()
    D, F, L, N, K, V, S = np.frombuffer(data, "<i4", 7).tolist()
    floats, H, T = iter(np.frombuffer(data, "<f4", offset=28)), D // N, len(tokens_T)

    def take(*shape):
        return np.fromiter(floats, np.float64, int(np.prod(shape))).reshape(shape)

    def normed(x_TD, scale_D):
        return x_TD / np.sqrt((x_TD**2).mean(1, keepdims=True) + 1e-5) * scale_D

    embed_VD, scale_LD = take(abs(V), D), take(L, D)
    q_LDD, k_L, v_L, o_LDD = take(L, D, D), take(L, K * H, D), take(L, K * H, D), take(L, D, D)
    mlp_scale_LD = take(L, D)
    gate_LFD, down_LDF, up_LFD = take(L, F, D), take(L, D, F), take(L, F, D)
    final_D, cos_SH, sin_SH = take(D), take(S, H // 2), take(S, H // 2)
    head_VD = embed_VD if V > 0 else take(-V, D)
    turn_T1H = (cos_SH + 1j * sin_SH)[:T, None]

    def turned(y_TNH):
        pairs = (y_TNH[..., ::2] + 1j * y_TNH[..., 1::2]) * turn_T1H
        return np.stack([pairs.real, pairs.imag], -1).reshape(y_TNH.shape)

    x_TD = embed_VD[tokens_T]
    for layer in range(L):
        y_TD = normed(x_TD, scale_LD[layer])
        q_TNH = turned((y_TD @ q_LDD[layer].T).reshape(T, N, H))
        k_TKH = turned((y_TD @ k_L[layer].T).reshape(T, K, H))
        v_TKH = (y_TD @ v_L[layer].T).reshape(T, K, H)
        read_TNH = np.zeros((T, N, H))
        for n in range(N):
            group = n // (N // K)
            scores_TT = q_TNH[:, n] @ k_TKH[:, group].T / np.sqrt(H)
            scores_TT[np.triu_indices(T, 1)] = -np.inf
            weights_TT = np.exp(scores_TT - scores_TT.max(1, keepdims=True))
            weights_TT /= weights_TT.sum(1, keepdims=True)
            read_TNH[:, n] = weights_TT @ v_TKH[:, group]
        x_TD = x_TD + read_TNH.reshape(T, D) @ o_LDD[layer].T
        y_TD = normed(x_TD, mlp_scale_LD[layer])
        gate_TF = y_TD @ gate_LFD[layer].T
        h_TF = gate_TF / (1 + np.exp(-gate_TF)) * (y_TD @ up_LFD[layer].T)
        x_TD = x_TD + h_TF @ down_LDF[layer].T
    return normed(x_TD, final_D) @ head_VD.T


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return published_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.mark.parametrize("tied", [True, False])
def test_logits_are_those_of_the_files_floats(tmp_path, tokenizer, tied):
    path = tmp_path / "m.bin"
    path.write_bytes(build(tied=tied, V=400))
    model = models.open_model(path, make_mesh("data:8"), tokenizer=tokenizer)
    assert model.functions.config.tied == tied
    assert model.functions.config.max_length == 11
    assert model.tokenizer.vocab_size == 377
    tokens_T = np.random.default_rng(1).integers(0, 400, 11)
    seen = logits(model.functions, model.load(), whole(tokens_T[None]))[0]
    np.testing.assert_allclose(seen, forward(path, tokens_T), atol=1e-4)


def test_a_tokenizer_must_be_named(tmp_path, tokenizer):
    path, mesh = tmp_path / "m.bin", make_mesh("data:8")
    path.write_bytes(build())
    with pytest.raises(ValueError, match=r"m\.bin: llama2\.c's files hold no tokenizer; import it"):
        models.open_model(path, mesh)
    with pytest.raises(ValueError, match=r"m\.bin: tokenizer\.model has 377 tokens .* V=37 rows"):
        models.open_model(path, mesh, tokenizer=tokenizer)
    path.write_bytes(build(V=400))
    opened = models.open_model(path, mesh, tokenizer=tokenizer)
    models.describe(tmp_path / "run", dataclasses.replace(opened, step=0))
    with pytest.raises(ValueError, match=r"run has its own tokenizer; leave out .*tokenizer"):
        models.open_model(tmp_path / "run", mesh, tokenizer=tokenizer)
