"""The templates: Jinja2 that escapes everything and refuses a name that nobody gave it."""

from __future__ import annotations

import functools

import jinja2

from unipam.server.pages import words
from unipam.server.pages.assets import asset


@functools.cache
def environment() -> jinja2.Environment:
    """Return the templates of this package."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("unipam.server.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=words.visible,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(number=words.number, place=words.place, duration=words.duration, pair=lambda each: (each, each))
    made.globals.update(asset=asset, percent=words.percent)
    return made


def render(template: str, **given: object) -> str:
    """Return a page's or part's text."""
    return environment().get_template(template).render(**given)
