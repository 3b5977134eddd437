"""A style sheet in the tags of templates: as a browser would apply it, and before anything is printed.

A sheet or a template that cannot be treated so is refused when it is loaded.
"""

from __future__ import annotations

import pytest
from jinja2 import DictLoader, Environment

from vibes_pipeline.notices.styles import read_styles, styled

SHEET = """
/* all of it */
p { margin: 0 0 12px; }
.in { padding: 4px 16px; }
.first { padding-top: 12px; }
.rule { margin: 0; font: 15px "Segoe UI",
  serif; }
"""


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<p>x</p>", '<p style="margin:0 0 12px">x</p>'),
        # A class outweighs the tag, and the later class the earlier, however they are listed.
        ('<p class="rule">', '<p class="rule" style="margin:0;font:15px \'Segoe UI\', serif">'),
        (
            '<td class="first in" colspan="2">',
            '<td class="first in" colspan="2" style="padding:4px 16px;padding-top:12px">',
        ),
        (
            '<a href="{{ link }}" class="in">',
            '<a href="{{ link }}" class="in" style="padding:4px 16px">',
        ),
        ("<br>", "<br>"),
        ('<td class="plain">', '<td class="plain">'),
        ("{% if a < b and b > c %}<td>", "{% if a < b and b > c %}<td>"),
    ],
)
def test_each_tag_has_the_declarations_of_its_name_and_classes(source: str, expected: str) -> None:
    assert styled(source, read_styles(SHEET)) == expected


def test_what_a_template_prints_is_never_taken_for_a_tag() -> None:
    source = styled("<p>{{ name }}</p>", read_styles(SHEET))
    page = Environment(loader=DictLoader({"page": source}), autoescape=True).get_template("page")
    assert page.render(name='<p class="in">') == (
        '<p style="margin:0 0 12px">&lt;p class=&#34;in&#34;&gt;</p>'
    )


@pytest.mark.parametrize("sheet", ["p b { margin: 0; }", "@media print { p { } }", "p { margin: 0"])
def test_a_style_sheet_that_tags_cannot_hold_is_refused(sheet: str) -> None:
    with pytest.raises(ValueError, match="the style sheet has more than a tag or class"):
        read_styles(sheet)


def test_a_class_that_is_chosen_while_printing_is_refused() -> None:
    with pytest.raises(ValueError, match="a class is written out, not chosen"):
        styled("""<td class="in{{ ' first' if total }}">""", read_styles(SHEET))
