"""Fine-tunes language models in Hugging Face format: all weights, LoRA, QLoRA or DoRA, on one node or many.

    torchrun -m millstream.tune batch_size=4 epochs=1 model.lora_rank=8

It takes the words of torchtune, since the Kubeflow SDK's BuiltinTrainer sends them, and reads a model and a dataset
that initializers have brought. It runs in the environment of the image `millstream/llm` and needs no network.
"""
