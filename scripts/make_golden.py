"""Makes the golden logits of tests/golden: reference implementations at random weights.

Run once, in an environment of its own that has the reference implementation, which the project
itself doesn't need:

    pip install torch transformers && python scripts/make_golden.py --out=tests/golden

Every size differs from every other (N·H ≠ D where the family allows it, K ≠ N, an odd vocabulary),
so that a transposed or misnamed axis can't pass; sequences run past position 256.
"""

from __future__ import annotations

import argparse
import pathlib

import numpy as np
import torch
import transformers


def save(path: pathlib.Path, model: torch.nn.Module, tokens_BT: np.ndarray) -> None:
    """Writes a model's config, weights, inputs and float32 logits as one .npz.

    The logits are stored for every eleventh position and the last.
    """
    model = model.eval().float()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            # Norms near 1, all else large enough that every weight shows in the logits.
            scale = parameter.ndim == 1 and name.endswith("weight")
            parameter.copy_(1 + 0.2 * noise if scale else 0.15 * noise)
            print(f"  {name} {tuple(parameter.shape)}")
        logits_BTV = model(torch.from_numpy(tokens_BT)).logits.numpy()
    kept = np.unique(np.append(np.arange(0, tokens_BT.shape[1], 11), tokens_BT.shape[1] - 1))
    weights = {f"weight:{k}": v.numpy() for k, v in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        del weights["weight:lm_head.weight"]
    np.savez_compressed(
        path,
        config=model.config.to_json_string(),
        made_with=f"transformers {transformers.__version__}, torch {torch.__version__}",
        tokens_BT=tokens_BT.astype(np.int32),
        kept=kept,
        logits_BTV=logits_BTV[:, kept].astype(np.float32),
        **weights,
    )
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB, |logits| up to {abs(logits_BTV).max():.2f}")


def llama(out: pathlib.Path) -> None:
    """LLaMA: untied with grouped queries, and tied with one key/value head a query head."""
    sizes = {"num_hidden_layers": 3, "intermediate_size": 76, "max_position_embeddings": 512}
    grouped = transformers.LlamaConfig(
        vocab_size=61,
        hidden_size=36,
        num_attention_heads=6,
        num_key_value_heads=2,
        head_dim=10,
        rope_theta=5000.0,
        rms_norm_eps=1e-3,
        tie_word_embeddings=False,
        **sizes,
    )
    tied = transformers.LlamaConfig(
        vocab_size=53,
        hidden_size=40,
        num_attention_heads=5,
        num_key_value_heads=5,
        head_dim=6,
        rope_theta=10000.0,
        rms_norm_eps=1e-6,
        tie_word_embeddings=True,
        **sizes,
    )
    for name, config in (("llama_grouped", grouped), ("llama_tied", tied)):
        tokens_BT = np.random.default_rng(1).integers(0, config.vocab_size, (2, 300))
        save(out / f"{name}.npz", transformers.LlamaForCausalLM(config), tokens_BT)


def opt(out: pathlib.Path) -> None:
    """OPT: pre-norm, and post-norm with a narrower embedding as the 350M model is."""
    pre_norm = transformers.OPTConfig(
        num_hidden_layers=2,
        hidden_size=36,
        num_attention_heads=4,
        ffn_dim=76,
        vocab_size=61,
        max_position_embeddings=310,
    )
    post_norm = transformers.OPTConfig(
        num_hidden_layers=2,
        hidden_size=40,
        num_attention_heads=5,
        ffn_dim=60,
        vocab_size=53,
        max_position_embeddings=304,
        word_embed_proj_dim=28,
        do_layer_norm_before=False,
    )
    for name, config in (("opt_pre_norm", pre_norm), ("opt_post_norm", post_norm)):
        tokens_BT = np.random.default_rng(1).integers(0, config.vocab_size, (2, 300))
        save(out / f"{name}.npz", transformers.OPTForCausalLM(config), tokens_BT)


FAMILIES = (llama, opt)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("tests/golden"))
    names = [family.__name__ for family in FAMILIES]
    parser.add_argument("--families", nargs="+", choices=names, default=names)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for family in FAMILIES:
        if family.__name__ in arguments.families:
            family(arguments.out)
