"""Docstrings, comments and identifiers use plain sentences and the field's words."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "burnish"
# Openings that leave out the subject or the verb of a sentence.
DOCSTRING_OPENINGS = ("See that", "Tell", "Say", "Of", "What", "How", "Let", "Whether")
COMMENT_OPENINGS = ("Of", "What", "By")
MAX_WHAT_PER_1000_WORDS = 1.0
# Words that have a standard term, which is the one to use.
RETIRED_WORDS = {
    "glance": "thumbnail encoder",
    "trunk": "backbone",
    "survey": "global context",
    "shelf": "model registry",
    "spool": "disk photo",
    "bend": "kernel delta",
    "wish": "options",
    "judge": "validate",
    "heldout": "validation",
    "learn": "train",
    "learnt": "trained",
    "told": "reported",
    "said": "given",
}


def docstrings() -> Iterator[tuple[str, str]]:
    """Yield the place and the text of every docstring."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, kinds) and (text := ast.get_docstring(node)):
                yield f"{path.relative_to(SOURCE)}: {getattr(node, 'name', 'module')}", text


def comments() -> Iterator[tuple[str, str]]:
    """Yield the place and the text of every comment's first line."""
    for path in sorted(SOURCE.rglob("*.py")):
        previous = 0
        for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
            if token.type == tokenize.COMMENT:
                if token.start[0] != previous + 1:
                    yield f"{path.relative_to(SOURCE)}:{token.start[0]}", token.string[1:].strip()
                previous = token.start[0]


def identifiers() -> Iterator[tuple[str, str]]:
    """Yield the place and the name of every definition, parameter and assigned name."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                name = node.name
            elif isinstance(node, ast.arg):
                name = node.arg
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                name = node.id
            else:
                continue
            yield f"{path.relative_to(SOURCE)}:{node.lineno}", name


def test_docstrings_begin_with_a_verb_or_a_subject():
    pattern = re.compile(rf"({'|'.join(DOCSTRING_OPENINGS)})\b")
    assert [place for place, text in docstrings() if pattern.match(text)] == []


def test_comments_begin_with_a_subject():
    pattern = re.compile(rf"({'|'.join(COMMENT_OPENINGS)})\b")
    assert [f"{place}: {text}" for place, text in comments() if pattern.match(text)] == []


def test_docstrings_rarely_use_the_word_what():
    words = re.findall(r"\w+", " ".join(text.lower() for _, text in docstrings()))
    assert 1000 * words.count("what") / len(words) < MAX_WHAT_PER_1000_WORDS


def test_identifiers_use_the_standard_terms():
    offenders = []
    for place, name in identifiers():
        parts = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)
        offenders += [
            f"{place}: {name} ({RETIRED_WORDS[part.lower()]})"
            for part in parts
            if part.lower() in RETIRED_WORDS
        ]
    assert offenders == []
