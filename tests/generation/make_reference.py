"""Make reference/ beside this script with Hugging Face's `generate`.

    python tests/generation/make_reference.py

The folder of a random GPT-2 in float64, which Hugging Face saved, and generate.json: options and
prompts with the texts that its `generate` makes of them; in reference/bart/ the same of a BART.
Rows with a mask are padded on the left, a BART's on the right.
Made with torch 2.13 and transformers 5.24; the tests need neither.
"""

import json
import random
from pathlib import Path

import torch
import transformers

HERE = Path(__file__).parent / "reference"
V = 23
CONFIG = dict(vocab_size=V, n_embd=12, n_layer=2, n_head=3, n_positions=24, n_inner=16,
              bos_token_id=0, eos_token_id=5)


def make_model() -> transformers.GPT2LMHeadModel:
    torch.manual_seed(4)
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**CONFIG)).double().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_scale = "ln_" in name and "weight" in name
            parameter.normal_(1.0 if is_scale else 0.0, 0.6)
    return model


BART = dict(vocab_size=V, d_model=12, encoder_layers=1, encoder_attention_heads=3,
            encoder_ffn_dim=16, decoder_layers=2, decoder_attention_heads=2, decoder_ffn_dim=16,
            max_position_embeddings=24, bos_token_id=0, eos_token_id=5, decoder_start_token_id=5,
            forced_eos_token_id=5)


def make_bart() -> transformers.BartForConditionalGeneration:
    torch.manual_seed(4)
    config = transformers.BartConfig(**BART)
    model = transformers.BartForConditionalGeneration(config).double().eval()
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            tensor.normal_(1.0 if "norm" in name and "weight" in name else 0.0, 0.6)
    return model


def make_case(rng: random.Random) -> dict:
    """Options of `generate`, prompts, and for a half of them a mask."""
    rows, tokens = rng.randint(1, 3), rng.randint(1, 6)
    case = {"ids": [[rng.randrange(V) for _ in range(tokens)] for _ in range(rows)]}
    options = {"max_new_tokens": rng.randint(1, 14), "pad_token_id": rng.randrange(1, V)}
    if rng.random() < 0.5:
        lengths = [rng.randint(1, tokens) for _ in range(rows)]
        case["mask"] = [[int(t >= tokens - n) for t in range(tokens)] for n in lengths]
    else:  # Hugging Face's penalty falls on padding, too, which is no part of the text
        options["repetition_penalty"] = rng.choice([1.0, 0.7, 1.3, 2.5])
    if rng.random() < 0.8:  # so many that texts end early
        options["eos_token_id"] = rng.sample(range(V), rng.choice([2, 5, 8]))
    if rng.random() < 0.2:
        options["suppress_tokens"] = rng.sample(range(V), 2)
    beams = rng.choice([1, 2, 3, 4, 6])
    if beams > 1:
        options |= {"num_beams": beams, "num_return_sequences": rng.randint(1, beams),
                    "length_penalty": rng.choice([1.0, 0.0, 0.6, 2.0, -1.0]),
                    "early_stopping": rng.choice([True, False, "never"])}
    return case | {"options": options}


def for_bart(rng: random.Random, case: dict) -> dict:
    """The case for an encoder-decoder: padded on the right, some with forced tokens. They leave
    several texts: beams that only one text has Hugging Face fills with copies of it."""
    for row in case.get("mask", ()):
        row.reverse()
    case["options"].pop("suppress_tokens", None)  # not beside a forced token, in Hugging Face
    case["options"]["max_new_tokens"] += 3
    going_on = set(range(V)) - {5, *case["options"].get("eos_token_id", ())}
    if rng.random() < 0.4:
        case["options"]["forced_bos_token_id"] = rng.choice(sorted(going_on))
    return case


def main() -> None:
    rng = random.Random(7)
    write(make_model(), [make_case(rng) for _ in range(80)], HERE)
    write(make_bart(), [for_bart(rng, make_case(rng)) for _ in range(40)], HERE / "bart")


def write(model, cases: list[dict], folder: Path) -> None:
    for case in cases:
        ids = torch.tensor(case["ids"])
        mask = torch.tensor(case.get("mask", torch.ones_like(ids).tolist()))
        found = model.generate(ids, attention_mask=mask, do_sample=False, **case["options"])
        case["expected"] = found.tolist()
    ids = torch.tensor(cases[0]["ids"])
    cases.append({"ids": ids.tolist(), "options": {},
                  "expected": model.generate(ids, do_sample=False).tolist()})
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    lines = ",\n".join([json.dumps(case) for case in cases])
    (folder / "generate.json").write_text(f"[{lines}]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
