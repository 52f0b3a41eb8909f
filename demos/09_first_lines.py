"""Demo 9: Hugging Face's introductory lines, with another import.

    python demos/09_first_lines.py                                   small models, made here
    python demos/09_first_lines.py --bert FOLDER --gpt2 FOLDER       yours, from Hugging Face

`bert` and `gpt2` are the lines that introduce BERT and GPT-2 in Hugging Face's documentation: load
a tokenizer and a model from a folder, compute the vector of [CLS], generate a continuation.
`bert_there` and `gpt2_there` are the same lines with the original import; where `transformers` is
installed they run as well, and both must return the same.
"""

import argparse
import importlib.util
import tempfile
from pathlib import Path

import numpy as np
from toy_folders import make_bert_folder, make_gpt2_folder

import minibert as mb

TEXT = "Hello, my dog is cute."


def bert(folder):
    from minibert import BertModel, BertTokenizer

    tokenizer = BertTokenizer.from_pretrained(folder)
    model = BertModel.from_pretrained(folder)
    inputs = tokenizer("Hello, my dog is cute.", return_tensors="pt")
    outputs = model(**inputs)
    print(outputs.last_hidden_state[:, 0])
    return outputs.last_hidden_state[:, 0].detach().numpy()


def bert_there(folder):
    from transformers import BertModel, BertTokenizer

    tokenizer = BertTokenizer.from_pretrained(folder)
    model = BertModel.from_pretrained(folder)
    inputs = tokenizer("Hello, my dog is cute.", return_tensors="pt")
    outputs = model(**inputs)
    print(outputs.last_hidden_state[:, 0])
    return outputs.last_hidden_state[:, 0].detach().numpy()


def gpt2(folder):
    from minibert import GPT2LMHeadModel, GPT2Tokenizer

    tokenizer = GPT2Tokenizer.from_pretrained(folder)
    model = GPT2LMHeadModel.from_pretrained(folder)
    inputs = tokenizer("Hello, my dog is cute.", return_tensors="pt")
    outputs = model.generate(**inputs, max_new_tokens=20)
    print(tokenizer.decode(outputs[0], skip_special_tokens=True))
    return outputs[0].tolist()


def gpt2_there(folder):
    from transformers import GPT2LMHeadModel, GPT2Tokenizer

    tokenizer = GPT2Tokenizer.from_pretrained(folder)
    model = GPT2LMHeadModel.from_pretrained(folder)
    inputs = tokenizer("Hello, my dog is cute.", return_tensors="pt")
    outputs = model.generate(**inputs, max_new_tokens=20)
    print(tokenizer.decode(outputs[0], skip_special_tokens=True))
    return outputs[0].tolist()


def by_definition(folder) -> np.ndarray:
    """Returns the vector of [CLS] in the reference implementation, from ids built by hand."""
    tokenizer = mb.BertTokenizer.from_pretrained(folder)
    model = mb.BertModel.from_pretrained(folder)
    ids = [tokenizer.cls_token_id, *tokenizer.convert_tokens_to_ids(tokenizer.tokenize(TEXT)),
           tokenizer.sep_token_id]
    with mb.reference(), mb.no_grad():
        return model(np.array([ids])).last_hidden_state.data[:, 0]


def without_cache(folder, length: int) -> list[int]:
    """Returns the greedy continuation to `length` tokens, with a full forward for every token."""
    tokenizer = mb.GPT2Tokenizer.from_pretrained(folder)
    model = mb.GPT2LMHeadModel.from_pretrained(folder)
    ids = tokenizer.encode(TEXT)
    while len(ids) < length:
        ids.append(int(model(np.array([ids])).logits.data[0, -1].argmax()))
    return ids


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bert", help="a folder with a BERT")
    parser.add_argument("--gpt2", help="a folder with a GPT-2")
    parser.add_argument("--steps", type=int, default=400, help="of training where none is given")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as made:
        bert_folder, gpt2_folder = options.bert, options.gpt2
        if bert_folder is None:
            bert_folder = Path(made) / "bert"
            make_bert_folder(bert_folder, options.steps, TEXT)
        if gpt2_folder is None:
            gpt2_folder = Path(made) / "gpt2"
            make_gpt2_folder(gpt2_folder, options.steps)

        print("BERT, the vector of [CLS]:")
        vector = bert(bert_folder)
        print("\nGPT-2, a continuation:")
        ids = gpt2(gpt2_folder)
        error = np.abs(vector - by_definition(bert_folder)).max()
        if error > 1e-4 or ids != without_cache(gpt2_folder, len(ids)):
            raise SystemExit(f"the reference implementation differs ({error:.0e})")
        there = importlib.util.find_spec("transformers") and importlib.util.find_spec("torch")
        if there:
            print("\nThe same lines with transformers:")
            error = np.abs(vector - bert_there(bert_folder)).max()
            if error > 1e-4 or ids != gpt2_there(gpt2_folder):
                raise SystemExit(f"transformers differs ({error:.0e})")
    print("\nClaim: the vector equals the reference implementation's, the text is that of a full "
          "forward for\nevery token" + (", and transformers returns the same." if there else "."))


if __name__ == "__main__":
    main()
