"""Falcon: the blocks, heads and positions of the 7B, of the 40B, and of the RW models.

With the default attention, as the models were trained: the eager one of transformers 5.23 adds
ALiBi twice.
"""

import transformers


def references(Torch):
    multi_query = transformers.FalconConfig(
        num_hidden_layers=3,
        hidden_size=40,
        num_attention_heads=5,
        ffn_hidden_size=76,
        vocab_size=61,
    )
    grouped = transformers.FalconConfig(
        num_hidden_layers=4,
        hidden_size=48,
        num_attention_heads=6,
        num_kv_heads=2,
        new_decoder_architecture=True,
        ffn_hidden_size=68,
        vocab_size=59,
    )
    alibi = transformers.FalconConfig(
        num_hidden_layers=2,
        hidden_size=44,
        num_attention_heads=11,  # so that some slopes are no powers of two
        multi_query=False,
        parallel_attn=False,
        alibi=True,
        bias=True,
        ffn_hidden_size=52,
        vocab_size=67,
    )
    head = {"lm_head.weight": "transformer.word_embeddings.weight"}
    return {
        "multi_query": Torch(transformers.FalconForCausalLM, multi_query, head),
        "grouped": Torch(transformers.FalconForCausalLM, grouped, head),
        "alibi": Torch(transformers.FalconForCausalLM, alibi, head),
    }
