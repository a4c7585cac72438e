"""Makes the golden logits of tests/golden: reference implementations at random weights.

Run once, in an environment of its own that has the reference implementations, which the project
itself doesn't need:

    pip install torch transformers && python scripts/make_golden.py --out=tests/golden

A family's models are in tests/golden/FAMILY.py. Every size of theirs differs from every other
(N·H ≠ D where the family allows it, K ≠ N, an odd vocabulary), so that a transposed or misnamed
axis can't pass; sequences run past position 256.

Beside logits it stores slopes: how the next-token cross-entropy changes with each weight tensor
along a random direction, by central differences in float64.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import importlib.util
import json
import pathlib
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np

TOKENS = 300
"""Of each sequence; an encoder reads some fewer, so that a row of two is no multiple of both."""

SLOPE_TOKENS = 24
"""Of each sequence, for slopes."""

STEP = 1e-7
"""Of the central differences: so small that few units cross a kink of ReLU."""


class Reference(Protocol):
    """A model whose logits are a function of its weights.

    Attributes:
        config: the published config.json's fields.
        shapes: of the weights, by their published names.
        encoder_decoder: whether `logits` wants tokens for an encoder.
        made_with: libraries and their versions.
    """

    config: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]
    encoder_decoder: bool
    made_with: str

    def logits(
        self,
        weights: Mapping[str, np.ndarray],
        tokens_BT: np.ndarray,
        enc_tokens_BE: np.ndarray | None,
    ) -> np.ndarray:
        """logits_BTV in the weights' dtype."""


class Torch:
    """A model of Hugging Face's transformers.

    Args:
        kind: its class.
        config: its configuration.
        aliases: weights that published files lack, being others again: name -> which.
    """

    def __init__(self, kind: Any, config: Any, aliases: Mapping[str, str] | None = None):
        self._kind, self._config, self._aliases = kind, config, dict(aliases or {})
        versions = ((name, importlib.metadata.version(name)) for name in ("transformers", "torch"))
        self.made_with = ", ".join(map(" ".join, versions))
        self.config = json.loads(config.to_json_string())
        self.encoder_decoder = bool(getattr(config, "is_encoder_decoder", False))
        state = kind(config).state_dict()
        self.shapes = {k: tuple(v.shape) for k, v in state.items() if k not in self._aliases}

    def logits(self, weights, tokens_BT, enc_tokens_BE):
        """See `Reference`."""
        import torch

        dtype = weights[next(iter(weights))].dtype
        inputs = {"input_ids": torch.from_numpy(tokens_BT)}
        if enc_tokens_BE is not None:
            inputs = {
                "input_ids": torch.from_numpy(enc_tokens_BE),
                "decoder_input_ids": inputs["input_ids"],
            }
        with torch.no_grad(), float32_is(dtype):
            model = self._kind(self._config).to(torch.from_numpy(np.zeros(0, dtype)).dtype).eval()
            given = {k: torch.from_numpy(np.asarray(v)) for k, v in weights.items()}
            model.load_state_dict(given | {k: given[v] for k, v in self._aliases.items()})
            return model(**inputs, use_cache=False).logits.numpy()


@contextlib.contextmanager
def float32_is(dtype: np.dtype) -> Iterator[None]:
    """In it, what the reference casts to float32 is cast to float64, if that is asked for."""
    import torch

    if dtype == np.float32:
        yield
        return
    kept = torch.float32, torch.float, torch.Tensor.float
    torch.float32 = torch.float = torch.float64
    torch.Tensor.float = torch.Tensor.double
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.float32, torch.float, torch.Tensor.float = kept
        torch.set_default_dtype(torch.float32)


def random_weights(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Norms near 1, all else large enough that every weight shows in the logits; float32."""
    rng = np.random.default_rng(0)
    weights = {}
    for name, shape in shapes.items():
        noise = rng.standard_normal(shape)
        scale = len(shape) == 1 and name.endswith("weight")
        weights[name] = (1 + 0.2 * noise if scale else 0.15 * noise).astype(np.float32)
    return weights


def direction(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The random direction in which a weight is moved, the same wherever it is asked for."""
    return np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)


def slopes(
    reference: Reference,
    weights: Mapping[str, np.ndarray],
    tokens_BT: np.ndarray,
    enc_tokens_BE: np.ndarray | None,
) -> dict[str, float]:
    """d loss / d weight along `direction`, of the summed cross-entropy of each next token."""
    exact = {name: value.astype(np.float64) for name, value in weights.items()}
    tokens_BT = tokens_BT[:, :SLOPE_TOKENS]

    def loss(weights: Mapping[str, np.ndarray]) -> float:
        logits_BTV = reference.logits(weights, tokens_BT, enc_tokens_BE)[:, :-1]
        assert logits_BTV.dtype == np.float64
        logits_BTV -= logits_BTV.max(-1, keepdims=True)
        targets_BT1 = tokens_BT[:, 1:, None]
        chosen = np.take_along_axis(logits_BTV, targets_BT1, -1)[..., 0]
        return float((np.log(np.exp(logits_BTV).sum(-1)) - chosen).sum())

    found = {}
    for name, value in exact.items():
        move = STEP * direction(name, value.shape)
        ahead, behind = loss({**exact, name: value + move}), loss({**exact, name: value - move})
        found[name] = (ahead - behind) / (2 * STEP)
    return found


def save(path: pathlib.Path, reference: Reference) -> None:
    """Writes config, weights, inputs, float32 logits and slopes as one .npz.

    The logits are stored for every eleventh position and the last.
    """
    rng = np.random.default_rng(1)
    V = reference.config["vocab_size"]
    tokens_BT = rng.integers(0, V, (2, TOKENS))
    enc_tokens_BE = rng.integers(0, V, (2, TOKENS - 13)) if reference.encoder_decoder else None
    encoded = {} if enc_tokens_BE is None else {"enc_tokens_BE": enc_tokens_BE.astype(np.int32)}
    weights = random_weights(reference.shapes)
    logits_BTV = reference.logits(weights, tokens_BT, enc_tokens_BE)
    found = slopes(reference, weights, tokens_BT, enc_tokens_BE)
    for name, slope in found.items():
        print(f"  {name} {weights[name].shape}: slope {slope:.4g}")
    kept = np.unique(np.append(np.arange(0, TOKENS, 11), TOKENS - 1))
    np.savez_compressed(
        path,
        config=json.dumps(reference.config),
        made_with=reference.made_with,
        tokens_BT=tokens_BT.astype(np.int32),
        **encoded,
        kept=kept,
        logits_BTV=logits_BTV[:, kept].astype(np.float32),
        **{f"weight:{name}": value for name, value in weights.items()},
        **{f"slope:{name}": slope for name, slope in found.items()},
    )
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB, |logits| up to {abs(logits_BTV).max():.2f}")


def recipe(path: pathlib.Path) -> Any:
    """A family's module in tests/golden, which answers `references(Torch) -> {variant: …}`."""
    spec = importlib.util.spec_from_file_location(f"golden_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    recipes = pathlib.Path(__file__).parent.parent / "tests" / "golden"
    names = sorted(file.stem for file in recipes.glob("*.py"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=recipes)
    parser.add_argument("--families", nargs="+", choices=names, default=names)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.families:
        module = recipe(recipes / f"{name}.py")
        for variant, reference in module.references(Torch).items():
            save(arguments.out / f"{name}_{variant}.npz", reference)


if __name__ == "__main__":
    main()
