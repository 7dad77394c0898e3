"""Templates filled in: the document of a page, and the headers it is sent with."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import get_args

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from serving.language import Language
from serving.pages.assets import address
from serving.pages.words import words

TEMPLATES = Path(__file__).parent / "templates"

HEADERS = MappingProxyType(
    {
        # Pico draws its arrows from data addresses, which hold pictures and no script.
        "content-security-policy": (
            "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
            "form-action 'self'; frame-ancestors 'none'"
        ),
        "vary": "Accept-Language, Cookie",
    }
)
"""What a page sends beside `serving.border.SECURITY_HEADERS`."""


def render(template: str, language: Language, values: Mapping[str, object]) -> str:
    """Return a document.

    Parameters
    ----------
    template : str
        Name of a file in the folder of templates.
    language : {"en", "zh"}
    values : mapping
        What the template shows; text in it is escaped.
    """
    return _environment(language).get_template(template).render(values)


def warm() -> None:
    """Compile every template in every language, so that the first reader does not wait for it."""
    for language in get_args(Language):
        environment = _environment(language)
        for name in environment.list_templates(extensions=("html",)):
            environment.get_template(name)


@cache
def _environment(language: Language) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    spoken = words(language)
    environment.install_gettext_translations(spoken.translations, newstyle=True)  # type: ignore[attr-defined]
    environment.globals.update(words=spoken, static=address)
    return environment
