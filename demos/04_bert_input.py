"""Demo 4: BERT's input: word pieces, two segments, and the sum of three embeddings.

    python demos/04_bert_input.py

Trains a WordPiece vocabulary on the text below, tokenizes the example of figure 2 of the BERT paper
(Devlin et al. 2019) and computes the input of the first block.
"""

import numpy as np

import minibert as mb
from minibert.nn.block import AttentionInputs

TEXT = """
my dog is cute . my cat is cute too . the dog likes me and he likes my cat .
he is playing . she is walking . they are talking and looking and jumping and calling .
he likes to walk , to talk , to look , to jump and to play . my dog likes to play too .
they play with the dog . she plays with my cat . he walks . she talks . my cat looks . they play .
"""


def main() -> None:
    tokenizer = mb.BertTokenizer.train([TEXT], vocab_size=80)
    pieces = list(tokenizer.vocab)
    print(f"1. {len(pieces)} word pieces learned from the text, "
          "the most frequent neighbours merged first:\n")
    for start in range(0, len(pieces), 16):
        print("   " + " ".join(pieces[start:start + 16]))
    print("\n   'playing' occurs once, 'play' and '-ing' often: it is tokenized as two pieces.")

    first, second = "my dog is cute", "he likes playing"
    encoded = tokenizer(first, second)
    tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"])
    segments = encoded["token_type_ids"]
    print(f"\n2. {first!r} / {second!r}\n")
    widths = [max(len(token), 2) + 1 for token in tokens]
    for name, row in (("tokens", tokens), ("ids", encoded["input_ids"]), ("segments", segments),
                      ("positions", range(len(tokens)))):
        print(f"   {name:10s}"
              + "".join(f"{value!s:>{width}}" for value, width in zip(row, widths)))

    print("\n3. The input vector of a token is the sum of three learned vectors, "
          "then layer norm:\n")
    config = mb.BertConfig(vocab_size=tokenizer.vocab_size, hidden_size=8, num_hidden_layers=1,
                           num_attention_heads=2, intermediate_size=16, max_position_embeddings=16,
                           hidden_dropout_prob=0.0, initializer_range=0.5)
    embeddings = mb.BertModel(config, rng=0).embeddings
    ids, kinds = np.array([encoded["input_ids"]]), np.array([segments])
    positions = np.arange(len(tokens))[None]
    words = embeddings.word_embeddings(ids)
    total = (words + embeddings.token_type_embeddings(kinds)
             + embeddings.position_embeddings(positions))
    by_hand = embeddings.norm(total).data
    at = tokens.index("##ing")
    for name, part in (("word '##ing'", words.data[0, at]),
                       ("segment 1", embeddings.token_type_embeddings.weight.data[1]),
                       (f"position {at}", embeddings.position_embeddings.weight.data[at]),
                       ("sum", total.data[0, at]), ("after norm", by_hand[0, at])):
        print(f"   {name:14s}" + "".join(f"{value:7.2f}" for value in part))

    expected = "[CLS] my dog is cute [SEP] he likes play ##ing [SEP]".split()
    if tokens != expected or segments != [0] * 6 + [1] * 5:
        raise SystemExit(f"expected {expected} with segments 0 x 6, 1 x 5; "
                         f"got {tokens}, {segments}")
    by_layer = embeddings(ids, AttentionInputs(position_ids=positions),
                          token_type_ids=kinds).data
    if not np.allclose(by_hand, by_layer):
        raise SystemExit("the embedding layer is not the sum of its three tables")
    print("\nClaim: the example is tokenized as in the paper, " + " ".join(tokens))
    print("with segments " + " ".join(map(str, segments))
          + ", and the input is the sum of three tables.")


if __name__ == "__main__":
    main()
