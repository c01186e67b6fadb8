"""Makes a small Llama with a tokenizer, and questions with answers, and keeps all where the job's model goes."""

import json
from pathlib import Path

import torch
from millstream.training import save_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

rows = [{"input": f"What is the capital of country {n}?", "output": f"It is town {n}."} for n in range(64)]
words = Tokenizer(models.BPE())
words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
words.decoder = decoders.ByteLevel()
known = pre_tokenizers.ByteLevel.alphabet()
special = ["<s>", "</s>"]
learn = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=known, show_progress=False)
words.train_from_iterator([text for row in rows for text in row.values()], learn)

torch.manual_seed(0)
shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
config = LlamaConfig(vocab_size=400, num_key_value_heads=2, max_position_embeddings=128, **shape)
LlamaForCausalLM(config).save_pretrained("tiny/model")
PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>", eos_token="</s>").save_pretrained("tiny/model")
Path("tiny/rows").mkdir()
Path("tiny/rows/train.jsonl").write_text("\n".join(map(json.dumps, rows)))
print("kept at", save_model("tiny"))
