"""From the data dict to one HTML file that needs no network and cannot reach one.

The scripts of web/ are joined in reading order into one function. A content security policy with
the hashes of that script and of the style admits nothing else: a token that looks like markup
cannot run, and nothing can be fetched. Text from the data is placed by `html.escape` here and by
`textContent` in the scripts.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from html import escape
from importlib import resources
from string import Template

from minibert.atomic_files import write_json, write_text
from minibert.errors import InputError
from minibert.look.data import MAX_BYTES, encoded

# In reading order: a script uses what stands above it.
SCRIPTS = ("data.js", "numbers.js", "elements.js", "pen.js", "matrix.js", "figures.js",
           "vectors.js", "steps.js", "walk.js", "back.js", "weights.js", "heads.js", "stream.js",
           "lens.js", "causes.js", "scatter.js", "map.js", "two.js", "curves.js", "film.js",
           "run.js", "model.js", "live.js", "tree.js", "seal.js", "keys.js", "main.js")
POLICY = ("default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; "
          "base-uri 'none'; form-action 'none'")  # this script, this style, no network


def html_page(data: dict, max_bytes: int = MAX_BYTES) -> str:
    """The page. Errors: InputError, more than `max_bytes` of arrays whatever is left out."""
    views, data = data["views"], encoded(data, max_bytes)
    style = web_file("look.css")
    # one function: the scripts share names and leave none behind
    script = "\n".join(['"use strict";', "(() => {", *map(web_file, SCRIPTS), "})();"])
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
              for text in (script, style)]
    names = [model["name"] for model in data["models"]]
    names += [run["name"] for view in views for run in view.get("runs", [])]
    return Template(web_file("look.html")).substitute(
        policy=POLICY.format(*hashes), style=style, script=script,
        title=escape("minibert look: " + " and ".join(names)),  # never the text itself
        data=json_text(data), head=head_html(data),
        tabs="".join([f'<a href="#{view["name"]}">{escape(view["title"])}</a>' for view in views]),
        sections="\n".join(map(section_html, views)))


def write_page(data: dict, path: str | os.PathLike, max_bytes: int = MAX_BYTES) -> None:
    """Write the page, or the dict itself as JSON where `path` ends in .json, by one rename. Errors:
    InputError, something is at `path` already; OSError."""
    if os.path.lexists(path):
        raise InputError(f"{path} exists already and is not touched: give another --out")
    if str(path).endswith(".json"):
        write_json(path, encoded(data, max_bytes), indent=None, ensure_ascii=True, allow_nan=False)
    else:
        write_text(path, html_page(data, max_bytes))


def web_file(name: str) -> str:
    """The text of a file of web/."""
    return resources.files("minibert.look").joinpath("web", name).read_text(encoding="utf-8")


def json_text(data: dict) -> str:
    """JSON that cannot end its script element: no <, > or & stands in it as itself."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


# ---- the parts that are there without JavaScript -------------------------------------------------


def head_html(data: dict) -> str:
    """The texts, what is explained, the likeliest outputs, and where the numbers come from."""
    parts, facts = [], [data["made_by"], data["command"]]
    for model in data["models"]:
        tokens = "".join([f'<span class="token{" added" if added else ""}">{escape(token)}</span>'
                          for token, added in zip(model["tokens"], model["special"])])
        parts.append(f'<p class="text"><b>{escape(model["name"])}</b> reads {tokens}</p>')
        if model["target"] is not None:
            parts.append(f"<p>{escape(target_sentence(model))}</p>")
        facts.append(f"{model['name']}: {model['class']}, {model['layers']} layers, "
                     f"{model['heads']} heads, width {model['width']}, {model['parameters']:,} "
                     f"parameters, weights {model['weights']}")
    notes = data["notes"] + [f"Left out: {one['what']}; {one['cure']}." for one in data["left_out"]]
    parts += [f'<p class="note">{escape(note)}</p>' for note in notes]
    parts.append('<p class="made">' + "<br>".join(map(escape, facts)) + "</p>")
    return "\n".join(parts)


def target_sentence(model: dict) -> str:
    """The output that is explained, and its likeliest outputs."""
    target = model["target"]
    place = {"word": f"At token {target['position']} it predicts",
             "next word": f"After token {target['position']} it predicts",
             "class": "It predicts the class", "answer": "It predicts that the answer starts at",
             "tag": f"To token {target['position']} it gives the tag"}[target["kind"]]
    top = ", ".join([f"\u201c{word}\u201d {p:.3f}" for word, p, _ in model["top"][:5]])
    explained = f"\u201c{target['word']}\u201d"
    if target["instead_word"] is not None:
        explained += f" rather than \u201c{target['instead_word']}\u201d"
    return f"{place} {top}. Explained here: {explained}."


def section_html(view: dict) -> str:
    """A view: title, how to read it, a place for its script, its pictures as SVG, its tables."""
    pictures = [picture["svg"] for picture in view.get("static", [])]
    tables = "\n".join([*pictures, *map(table_html, view["tables"])])
    if tables:
        tables = ('<details class="tables" open><summary>The same as tables</summary>'
                  f"{tables}</details>")
    return (f'<section id="{view["name"]}" class="view"><h2>{escape(view["title"])}</h2>\n'
            f'<p class="intro">{escape(view["intro"])}</p>\n<div class="live"></div>\n'
            f"{tables}</section>")


def table_html(table: dict) -> str:
    """A table with its caption; the first row is the head."""
    lines = ["<tr>" + "".join([f"<{tag}>{escape(cell)}</{tag}>" for cell in row]) + "</tr>"
             for row, tag in zip(table["rows"], ["th"] + ["td"] * len(table["rows"]))]
    return f"<table><caption>{escape(table['caption'])}</caption>" + "\n".join(lines) + "</table>"
