"""OPT: pre-norm, and post-norm with a narrower embedding as the 350M model is."""

import transformers


def references(Torch):
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
    aliases = {"lm_head.weight": "model.decoder.embed_tokens.weight"}
    return {
        "pre_norm": Torch(transformers.OPTForCausalLM, pre_norm, aliases),
        "post_norm": Torch(transformers.OPTForCausalLM, post_norm, aliases),
    }
