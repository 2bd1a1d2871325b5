"""Choose the inputs of a run by the keywords in their metadata: ``--where keyword:beach``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from burnish.editing.inputs import InputFile, Inputs
from burnish.errors import BurnishError, UsageError, did_you_mean
from burnish.storage import Scratch
from burnish.video.formats import has_video_extension

# The beginning of a condition.
KEYWORD = "keyword:"


@dataclass(frozen=True)
class Condition:
    """A keyword that a photo has to have; case does not matter."""

    keyword: str

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Read a condition.

        Raises
        ------
        UsageError : it is not a keyword

        Examples
        --------
        >>> Condition.parse("keyword:beach")
        Condition(keyword='beach')
        """
        keyword = text.removeprefix(KEYWORD).strip()
        if not text.startswith(KEYWORD) or not keyword:
            remedy = f"write --where {KEYWORD}beach"
            raise UsageError(f"--where {text}", "this is not a condition", remedy)
        return cls(keyword)


def choose_inputs(inputs: Inputs, conditions: Sequence[str]) -> tuple[Inputs, int]:
    """Return the inputs that meet all conditions, and the number of the others.

    Videos meet none. A photo whose metadata cannot be read is listed among the unreadable.

    Raises
    ------
    UsageError : a condition is not valid, or no photo meets all of them
    """
    from burnish.photo.keywords import keyword_key, read_texts

    wanted = [Condition.parse(text) for text in conditions]
    keys = {keyword_key(condition.keyword) for condition in wanted}
    chosen: list[InputFile] = []
    unreadable = list(inputs.unreadable)
    present: dict[str, str] = {}
    for file in inputs.files:
        if has_video_extension(file.path):
            continue
        try:
            with Scratch() as scratch:
                texts = read_texts(scratch.fetch(file.path))
            keywords = {keyword_key(word): word for word in texts.keywords}
        except BurnishError as error:
            unreadable.append(error.with_context(str(file.path)))
            continue
        present |= keywords
        if keys <= keywords.keys():
            chosen.append(file)
    if not chosen:
        missing = next((c.keyword for c in wanted if keyword_key(c.keyword) not in present), None)
        problem = f"none of the {len(inputs.files)} files has {'it' if len(wanted) == 1 else 'all'}"
        choices = sorted(present.values())
        otherwise = "`burnish keywords suggest` finds keywords for photos without any"
        remedy = otherwise if missing is None else did_you_mean(missing, choices, otherwise)
        raise UsageError(f"--where {', '.join(conditions)}", problem, remedy)
    left_out = len(inputs.files) - len(chosen) - (len(unreadable) - len(inputs.unreadable))
    return replace(inputs, files=chosen, unreadable=unreadable), left_out
