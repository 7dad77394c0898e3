"""The catalogues of the pages: gathers what is to be translated, and compiles translations.

``python -m serving.pages.messages`` brings every ``.po`` file in step with templates, modules and the names of
behaviours, keeps its translations, and writes the ``.mo`` file beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from features.agreement import Agreement
from features.catalogue import catalogue
from models.attribution.notes import NOTES
from serving.pages.words import DOMAIN, FOLDER

_METHODS = [("**.py", "python"), ("**.html", "jinja2.ext:babel_extract")]
_OPTIONS = {"**.html": {"trimmed": "false", "silent": "false"}}
_KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "N_": None}


def gathered() -> Catalog:
    """Return every message of the pages, untranslated."""
    found = Catalog(domain=DOMAIN, project="Smarketing", charset="utf-8", fuzzy=False)
    for _file, _line, message, _comments, context in extract_from_dir(
        Path(__file__).parent, _METHODS, _OPTIONS, _KEYWORDS, ()
    ):
        # No places: they would change with every line that is moved.
        found.add(message, context=context)
    for message in (*_concepts(), *NOTES.values()):
        found.add(message)
    return found


def files() -> Iterator[Path]:
    """Yield the ``.po`` file of each language that has one."""
    yield from sorted(FOLDER.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))


def read(path: Path) -> Catalog:
    """Return the catalogue in a ``.po`` file."""
    with path.open("rb") as file:
        return _undated(read_po(file, locale=path.parts[-3], domain=DOMAIN))


def update(path: Path) -> None:
    """Bring a ``.po`` file in step and compile it."""
    translated = read(path)
    translated.update(gathered(), no_fuzzy_matching=True)
    translated.obsolete.clear()
    with path.open("wb") as file:
        write_po(file, translated, width=120, sort_output=True, omit_header=True)
    with path.with_suffix(".mo").open("wb") as file:
        write_mo(file, _undated(translated))


def _undated(translated: Catalog) -> Catalog:
    # Neither file says when it was made, so that the same messages are the same bytes.
    translated.creation_date = translated.revision_date = datetime(1970, 1, 1, tzinfo=UTC)
    return translated


def _concepts() -> list[str]:
    return sorted({feature.concept for feature in catalogue(Agreement.load(None)).features})


if __name__ == "__main__":
    for name in files():
        update(name)
