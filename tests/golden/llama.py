"""LLaMA: untied with grouped queries, and tied with one key/value head a query head."""

import transformers


def references(Torch):
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
    head = {"lm_head.weight": "model.embed_tokens.weight"}
    return {
        "grouped": Torch(transformers.LlamaForCausalLM, grouped),
        "tied": Torch(transformers.LlamaForCausalLM, tied, head),
    }
