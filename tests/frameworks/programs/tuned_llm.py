"""Loads what a fine-tuning left with peft and transformers, and asks base, adapter and merged model for one answer."""

import sys

import torch
from millstream.training import dataset
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base_uri, tuned_uri = sys.argv[1:]
base, tuned = dataset(f"{base_uri}model/"), dataset(tuned_uri)
words = AutoTokenizer.from_pretrained(tuned)
prompt = words("user: What is the capital of country 7?\n\nassistant: ")["input_ids"]
answer = words("It is town 7.")["input_ids"] + [words.eos_token_id]
asked = torch.tensor([prompt + answer])
learnt = torch.tensor([[-100] * len(prompt) + answer])


def loss(model):
    with torch.no_grad():
        return float(model(input_ids=asked, labels=learnt).loss)


adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), f"{tuned}/adapter")
merged = AutoModelForCausalLM.from_pretrained(tuned)
print("base", loss(AutoModelForCausalLM.from_pretrained(base)))
print("adapted", loss(adapted))
print("merged", loss(merged))
