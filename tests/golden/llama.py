"""LLaMA: untied with grouped queries, tied with one key/value head a query head, and Llama 3.1's.

The last reads far past the length that its rotary positions were first trained on.
"""

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
    scaled = transformers.LlamaConfig(
        vocab_size=59,
        hidden_size=44,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=14,
        # Wavelengths from 6 to 2342: one is kept, two are between, four are stretched.
        rope_parameters={
            "rope_type": "llama3",
            "rope_theta": 1000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
        **sizes,
    )
    head = {"lm_head.weight": "model.embed_tokens.weight"}
    return {
        "grouped": Torch(transformers.LlamaForCausalLM, grouped),
        "scaled": Torch(transformers.LlamaForCausalLM, scaled),
        "tied": Torch(transformers.LlamaForCausalLM, tied, head),
    }
