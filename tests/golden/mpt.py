"""MPT: as published for 7B, and clipped and normalised; no number of heads is a power of two."""

import functools

import torch
import transformers
from transformers.models.mpt.modeling_mpt import build_mpt_alibi_tensor


class Published(transformers.MptForCausalLM):
    """With what MosaicML's own modeling_mpt.py computes and transformers leaves out.

    `qk_ln`: layer norms of all heads' queries and of all heads' keys, after `clip_qkv`;
    `alibi_bias_max` other than 8.
    """

    def __init__(self, config):
        super().__init__(config)
        attn_config = config.attn_config
        self.transformer.build_mpt_alibi_tensor = functools.partial(
            build_mpt_alibi_tensor, alibi_bias_max=attn_config.alibi_bias_max
        )
        for block in self.transformer.blocks:
            attention = block.attn
            for name in ("q_ln", "k_ln"):
                norm = torch.nn.LayerNorm(config.d_model, config.layer_norm_epsilon, bias=False)
                attention.register_module(name, norm)
            attention.clip_qkv = None
            attention.Wqkv.register_forward_hook(
                functools.partial(clip_and_normalise, attention, attn_config.clip_qkv)
            )


def clip_and_normalise(attention, clip, _linear, _inputs, qkv):
    query, key, value = qkv.clamp(-clip, clip).chunk(3, dim=-1)
    return torch.cat([attention.q_ln(query), attention.k_ln(key), value], dim=-1)


def references(Torch):
    plain = transformers.MptConfig(
        n_layers=3,
        d_model=42,
        n_heads=6,
        vocab_size=61,
        max_seq_len=310,
        layer_norm_epsilon=1e-3,
    )
    clip_norm = transformers.MptConfig(
        n_layers=2,
        d_model=40,
        n_heads=5,
        vocab_size=53,
        max_seq_len=304,
        attn_config={"clip_qkv": 0.7, "qk_ln": True, "alibi_bias_max": 12},
    )
    head = {"lm_head.weight": "transformer.wte.weight"}
    return {
        "plain": Torch(transformers.MptForCausalLM, plain, head),
        "clip_norm": Torch(Published, clip_norm, head),
    }
