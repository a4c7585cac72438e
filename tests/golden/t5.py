"""T5 1.1: heads that don't fill the width, more layers in one half than in the other."""

import transformers


def references(Torch):
    def t5(**sizes):
        config = transformers.T5Config(
            feed_forward_proj="gated-gelu", tie_word_embeddings=False, **sizes
        )
        # transformers 5 ties all T5s, and unties those whose files have a head of their own.
        config.tie_word_embeddings = False
        aliases = dict.fromkeys(
            ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight"), "shared.weight"
        )
        return Torch(transformers.T5ForConditionalGeneration, config, aliases)

    return {
        "wide": t5(
            num_layers=2,
            num_decoder_layers=3,
            d_model=36,
            num_heads=4,
            d_kv=10,
            d_ff=76,
            vocab_size=61,
            relative_attention_num_buckets=32,
            relative_attention_max_distance=128,
            layer_norm_epsilon=1e-3,
        ),
        "narrow": t5(
            num_layers=3,
            num_decoder_layers=1,
            d_model=40,
            num_heads=5,
            d_kv=6,
            d_ff=28,
            vocab_size=53,
            relative_attention_num_buckets=12,
            relative_attention_max_distance=50,
        ),
    }
