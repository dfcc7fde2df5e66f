"""The model card as a reader of Markdown shows it: markdown-it, which knows GitHub's tables."""

import math
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from gaia_ssl import Arch
from gaia_ssl.export.model_card import code_span, model_card
from gaia_ssl.export.winner import Winner
from gaia_ssl.terminal import one_line

NAMES = ['a|b', '`', '``a`', 'a`b', '<b>x</b>', '<script>', '# x', '\n\n# x', '*x*', '[x](y)', '![x](y)', '| x |', '\\',
         'a\\|b', '\\`', '  ', ' a ', '&lt;', '-->', '\x1b[31m', 'x\r\ny', '`|`']


def card_of(name: str) -> str:
    arch = Arch.parse('4-4x1-8x1-8x1-16x1')
    meta = dict(
        arch=str(arch), stem_kernel=3, resolution=32, mean=[0.0] * 3, std=[1.0] * 3, to_rgb=True, method='SupernetMoCo',
        space=dict(stem=[4], widths=[[4]], depths=[[1]]), flops=1, params=1, source=name, source_sha256='ab',
        calibration=dict(images=1, resolution=32, images_sha256='ab'), gaia_ssl_version='0',
        verification=dict(largest_relative_difference=0.0))
    scores = dict(similarity=-0.1, contenders=None, low=math.nan)
    return model_card(meta, Winner(arch, 'c5', name, scores, dict(images=8, images_sha256=name)), [])


def rendered(text: str) -> list:
    return MarkdownIt('commonmark').enable('table').parse(text)


@settings(deadline=None, derandomize=True, max_examples=40, database=None)
@given(st.one_of(st.sampled_from(NAMES), st.text(alphabet='`|\\<>#* \nab', min_size=1, max_size=12), st.text(min_size=1)))
@example('a\n\n# b')
def test_names_are_text_in_a_card(name):
    plain, tokens = rendered(card_of('name')), rendered(card_of(name))
    assert [token.type for token in tokens] == [token.type for token in plain]
    inlines = [child for token in tokens for child in token.children or ()]
    assert {child.type for child in inlines} <= {'text', 'code_inline', 'softbreak'}
    assert re.sub(r'[\0]', '\ufffd', one_line(name)).strip() in [child.content.strip() for child in inlines]


@pytest.mark.parametrize('name', ['supernet.pth', 'epoch_200.pth', '3-4G'])
def test_usual_names_are_easy_to_read(name):
    assert code_span(name) == f'`{name}`'
