"""PaLM in NumPy, written from the paper's description (2204.02311, sections 2 and 5).

There is no reference implementation to compare with. Every step is in the weights' dtype, so that
float64 weights give float64 logits; heads and sequences are taken one by one.
"""

import numpy as np

SIZES = {
    "num_hidden_layers": 3,
    "hidden_size": 28,
    "num_attention_heads": 5,
    "head_dim": 6,
    "intermediate_size": 44,
    "vocab_size": 61,
    "max_position_embeddings": 320,
    "rope_theta": 5000.0,
    "layer_norm_eps": 1e-3,
}


class PaLM:
    """A Reference of scripts/make_golden.py; `config` has the sizes and numbers of `SIZES`."""

    encoder_decoder = False
    made_with = f"numpy {np.__version__}"

    def __init__(self, config):
        c = self.sizes = config
        self.config = {"model_type": "palm", **config}
        D, H, F = c["hidden_size"], c["head_dim"], c["intermediate_size"]
        heads = c["num_attention_heads"] * H
        block = {
            "input_layernorm": (D,),
            "self_attn.q_proj": (heads, D),
            "self_attn.k_proj": (H, D),
            "self_attn.v_proj": (H, D),
            "self_attn.o_proj": (D, heads),
            "mlp.gate_proj": (F, D),
            "mlp.up_proj": (F, D),
            "mlp.down_proj": (D, F),
        }
        self.shapes = {"model.embed_tokens.weight": (c["vocab_size"], D)}
        for layer in range(c["num_hidden_layers"]):
            self.shapes |= {f"model.layers.{layer}.{k}.weight": v for k, v in block.items()}
        self.shapes["model.norm.weight"] = (D,)

    def logits(self, weights, tokens_BT, enc_tokens_BE):
        """logits_BTV, which the embeddings' width D scales by 1/√D."""
        table_VD = weights["model.embed_tokens.weight"]
        rows = []
        for tokens_T in tokens_BT:
            x_TD = table_VD[tokens_T]
            for layer in range(self.sizes["num_hidden_layers"]):
                prefix = f"model.layers.{layer}."
                own = {k[len(prefix) :]: w for k, w in weights.items() if k.startswith(prefix)}
                y_TD = self._norm(x_TD, own["input_layernorm.weight"])
                # Both branches read the same normed input: parallel layers.
                x_TD = x_TD + self._mlp(y_TD, own) + self._attention(y_TD, own)
            x_TD = self._norm(x_TD, weights["model.norm.weight"])
            rows.append(x_TD @ table_VD.T * self.sizes["hidden_size"] ** -0.5)
        return np.stack(rows)

    def _norm(self, x_TD, scale_D):
        """Layer norm without bias."""
        variance_T1 = x_TD.var(-1, keepdims=True) + self.sizes["layer_norm_eps"]
        return (x_TD - x_TD.mean(-1, keepdims=True)) / np.sqrt(variance_T1) * scale_D

    def _mlp(self, y_TD, own):
        """SwiGLU: (Swish(yW) · yV) projected back."""
        gate_TF, up_TF = y_TD @ own["mlp.gate_proj.weight"].T, y_TD @ own["mlp.up_proj.weight"].T
        swish_TF = gate_TF / (1 + np.exp(-gate_TF))
        return (swish_TF * up_TF) @ own["mlp.down_proj.weight"].T

    def _attention(self, y_TD, own):
        """Multi-query: each head has its queries, and all have the same keys and values."""
        N, H = self.sizes["num_attention_heads"], self.sizes["head_dim"]
        q_TNH = (y_TD @ own["self_attn.q_proj.weight"].T).reshape(len(y_TD), N, H)
        k_TH = self._rotate(y_TD @ own["self_attn.k_proj.weight"].T)
        v_TH = y_TD @ own["self_attn.v_proj.weight"].T
        later_TS = np.triu(np.ones((len(y_TD), len(y_TD)), bool), 1)
        heads = []
        for q_TH in np.moveaxis(q_TNH, 1, 0):
            scores_TS = self._rotate(q_TH) @ k_TH.T * H**-0.5
            scores_TS[later_TS] = -np.inf
            weights_TS = np.exp(scores_TS - scores_TS.max(-1, keepdims=True))
            heads.append(weights_TS / weights_TS.sum(-1, keepdims=True) @ v_TH)
        return np.concatenate(heads, -1) @ own["self_attn.o_proj.weight"].T

    def _rotate(self, x_TH):
        """RoPE (2104.09864): complex numbers, each turned by an angle a position."""
        T, H = x_TH.shape
        turns_h = self.sizes["rope_theta"] ** (-2 * np.arange(H // 2) / H)
        angles_Th = (np.arange(T)[:, None] * turns_h).astype(x_TH.dtype)
        turned_Th = (x_TH[:, : H // 2] + 1j * x_TH[:, H // 2 :]) * np.exp(1j * angles_Th)
        return np.concatenate([turned_Th.real, turned_Th.imag], -1)


def references(Torch):
    return {"multi_query": PaLM(SIZES)}
