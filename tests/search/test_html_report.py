import base64
import json
import re

import numpy as np
import pandas as pd
import pytest
from selenium.common.exceptions import NoAlertPresentException
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select

from gaia_ssl import DATA_SPACE, ArchSpace
from gaia_ssl.search.html_report import MISSING, pack, report_data, write_html_report
from gaia_ssl.search.ranking import pareto_front, winners
from gaia_ssl.space import FlopsGroups
from tests.browser import Page, start_browser

SPACE = ArchSpace(stem=(16, 32), widths=((16, 32), (64, 96), (128, 192), (256, 384)),
                  depths=((1, 2), (1, 2), (2, 4, 6), (1, 2)))
"""768 archs of 0.35 to 1.62 G multiply-adds."""
TASKS = ['c2-c5', 'z']
TITLES = {'c2-c5': 'similarity to the teacher (nats, 0 is equal)', 'z': 'mean cosine with the teacher'}
COMMAND = 'python tools/export.py supernet.pth {arch} --data "a & b" work_dirs/export'


def make_table(space: ArchSpace, edges: tuple[float, ...], seed: int = 0) -> pd.DataFrame:
    """A ranking of all archs of ``space`` with made-up similarities that rise with the cost."""
    rng = np.random.default_rng(seed)
    costs, groups = space.costs(), FlopsGroups(edges)
    gflops = costs['flops'] / costs['flops'].max()
    table = pd.DataFrame(dict(
        arch=list(map(str, space)), group=np.array([*groups.names, ''])[groups.assign(costs['flops'])],
        flops=costs['flops'], params=costs['params'],
        latency_ms=2 + 10 * gflops + 0.3 * costs['depth3'] + rng.normal(0, 0.2, len(space))))
    for task in ('c2-c5', 'c5', 'c4-c5'):
        table[task] = -0.02 * np.exp(-3 * gflops) - 1e-4 * (costs['depth1'] - 2) ** 2 - rng.exponential(5e-4, len(space))
    table['z'] = np.exp(5 * table['c5'])
    return table.sort_values('c2-c5', ascending=False, ignore_index=True)


def make_winners(table: pd.DataFrame, tasks: list[str]) -> pd.DataFrame:
    best = winners(table, tasks)
    best['similarity'] = [row[row['task']] for row in best.to_dict('records')]
    best = best.assign(low=best['similarity'] - 8e-4, high=best['similarity'] + 6e-4, contenders=range(1, len(best) + 1),
                       cheapest_contender=best['arch'], fastest_contender=table['arch'][7], expected_regret=2e-4,
                       half_agreement=0.91, most_flops_similarity=best['similarity'] - 1e-3,
                       random_similarity=best['similarity'] - 5e-3)
    best.loc[0, ['low', 'high', 'half_agreement']] = np.nan
    return best


@pytest.fixture(scope='module')
def table() -> pd.DataFrame:
    return make_table(SPACE, (2e8, 5e8, 1e9, 1.7e9))


def best_of(table: pd.DataFrame, task: str = 'c2-c5', **most: float) -> pd.Series:
    for name, limit in most.items():
        table = table[table[name] <= limit]
    return table.loc[table[task].idxmax()]


def decode(packed: dict) -> np.ndarray:
    levels = np.frombuffer(base64.b64decode(packed['data']), dtype='<u4')
    return np.where(levels == MISSING, np.nan, packed['low'] + packed['step'] * levels)


def test_packed_columns_give_back_the_ranking(table):
    data = report_data(table, TITLES, make_winners(table, TASKS), 224, COMMAND)
    digits = [np.array(one['choices'])[np.frombuffer(base64.b64decode(one['data']), np.uint8)] for one in data['dimensions']]
    assert [f'{s}-{a}x{b}-{c}x{d}-{e}x{f}-{g}x{h}' for s, a, b, c, d, e, f, g, h in zip(*digits, strict=True)] == \
        table['arch'].tolist()
    flops, params, latency = data['costs']
    assert decode(flops).tolist() == table['flops'].tolist() and decode(params).tolist() == table['params'].tolist()
    np.testing.assert_allclose(decode(latency), table['latency_ms'], rtol=0, atol=1e-8)
    for packed, task in zip(data['tasks'], TASKS, strict=True):
        np.testing.assert_allclose(decode(packed), table[task], rtol=0, atol=1e-11)
        assert decode(packed).argmax() == table[task].idxmax()
    assert [table['arch'][one['index']] for one in data['winners']] == [one['arch'] for one in data['winners']]
    assert data['winners'][0]['low'] is None and data['winners'][1]['contenders'] == 2


@pytest.mark.parametrize('values', [
    [], [3.0], [np.nan], [np.nan, 1.5, np.inf, -2.25], [0.1, 0.1], [2**40, 2**40 + 7, 2**40 + 21], [1, 2**50 + 1],
    np.linspace(-1, 1, 999)])
def test_packing(values):
    values = np.array(values, dtype=np.float64)
    known = np.isfinite(values)
    back = decode(pack(values))
    assert (np.isnan(back) == ~known).all()
    spread = np.ptp(values[known]) if known.any() else 0
    np.testing.assert_allclose(back[known], values[known], rtol=1e-15, atol=spread * 2**-32)


def test_a_failed_report_leaves_the_old_one(table, tmp_path):
    (tmp_path / 'report.html').write_text('old')
    with pytest.raises(KeyError):
        write_html_report(tmp_path / 'report.html', table, {'c3': ''}, make_winners(table, TASKS), 224, '', '', COMMAND)
    assert [path.name for path in tmp_path.iterdir()] == ['report.html']
    assert (tmp_path / 'report.html').read_text() == 'old'


@pytest.fixture(scope='module')
def browser():
    with start_browser() as browser:
        yield browser


@pytest.fixture
def open_page(browser, table, tmp_path):
    """``open_page(**arguments of write_html_report)``; afterwards nothing may stand in the console."""
    def call(**further) -> Page:
        arguments = dict(ranking=table, tasks=TITLES, winners=make_winners(table, TASKS), resolution=192, title='Subnets',
                         subtitle='768 subnets', export_command=COMMAND)
        write_html_report(tmp_path / 'report.html', **{**arguments, **further})
        for log in ('browser', 'performance'):
            browser.get_log(log)
        return Page(browser, tmp_path / 'report.html')

    yield call
    assert browser.get_log('browser') == []
    messages = [json.loads(entry['message'])['message'] for entry in browser.get_log('performance')]
    asked = [message['params']['request']['url'] for message in messages if message['method'] == 'Network.requestWillBeSent']
    assert asked and all(url.startswith(('file:', 'data:')) for url in asked), asked


def test_the_best_of_all_comes_first(open_page, table):
    page, best = open_page(), best_of(table)
    assert page.text('arch') == best['arch']
    assert page.text('command') == COMMAND.replace('{arch}', best['arch'])
    assert f"{best['c2-c5']:.4f}" in page.text('facts') and '768' in page.text('facts')
    assert page['result'].get_attribute('aria-live') == 'polite'


def test_what_is_not_known_of_a_task_is_said(open_page):
    page = open_page(doubts={TASKS[0]: 'whether it pays is not known'})
    assert page.text('doubt') == 'Note: whether it pays is not known.'
    assert not open_page()['doubt'].is_displayed()


def test_keys_on_the_flops_slider_change_the_winner(open_page, table):
    page, before = open_page(), best_of(table)
    for _ in range(3):
        page.press('flops-max', Keys.ARROW_LEFT, 60)
        expected = best_of(table, flops=page.budget('flops', 1e9))
        assert page.text('arch') == expected['arch'] != before['arch']
        before = expected
    page['reset'].click()
    assert page.text('arch') == best_of(table)['arch']


def test_dragging_a_thumb_changes_the_winner(open_page, table):
    page = open_page()
    slider = page['latency_ms-max']
    ActionChains(page.browser).move_to_element_with_offset(slider, slider.size['width'] // 2 - 9, 0).click_and_hold() \
        .move_by_offset(-90, 0).move_by_offset(-90, 0).release().perform()
    limit = page.budget('latency_ms', 1)
    assert limit < 0.7 * table['latency_ms'].max()
    assert page.text('arch') == best_of(table, latency_ms=limit)['arch']


def test_budgets_combine_and_have_two_ends(open_page, table):
    page = open_page()
    page.type_budget('flops', 0.9)
    page.type_budget('params', 3.1)
    page.type_budget('params', 2.6, 'min')
    within = table[table['params'] >= 2.6e6]
    assert page.text('arch') == best_of(within, flops=0.9e9, params=3.1e6)['arch']
    assert str(((within['flops'] <= 0.9e9) & (within['params'] <= 3.1e6)).sum()) in page.text('facts')


def test_infeasible_budgets_say_so(open_page, table):
    page = open_page()
    page.type_budget('flops', 0.25)
    page.type_budget('params', table['params'].max() / 1e6 - 0.1, 'min')
    assert 'no subnet within these budgets' in page.text('result')
    assert not page['arch'].is_displayed() and not page['command'].is_displayed()
    page['reset'].click()
    assert page.text('arch') == best_of(table)['arch'] and not page['infeasible'].is_displayed()


def test_the_axes(open_page, table):
    page, seen, drawing = open_page(), set(), "return document.getElementById('cloud').toDataURL()"
    titles = dict(flops='multiply-adds at 192 px (G)', params='params (M)', latency_ms='latency (ms)')
    for task, title in (('c2-c5', 'similarity to the teacher (nats, 0 is equal)'), ('z', 'mean cosine with the teacher')):
        Select(page['task']).select_by_value(task)
        assert page.text('arch') == best_of(table, task)['arch']
        for cost in titles:
            Select(page['cost']).select_by_value(cost)
            assert page['overlay'].get_attribute('aria-label') == f'768 subnets: {title} over {titles[cost]}'
            front = page.browser.execute_script('return state.front.map(archText)')
            assert front == table['arch'][pareto_front(table[cost].to_numpy(), table[task].to_numpy())].tolist()
            page.until(lambda: page.browser.execute_script(drawing) not in seen)
            seen.add(page.browser.execute_script(drawing))


def test_the_table_of_winners(open_page, table):
    page, expected = open_page(), make_winners(table, TASKS)
    for task in TASKS:
        Select(page['task']).select_by_value(task)
        chosen = expected[expected['task'] == task].to_dict('records')
        for row, cells in zip(chosen, page.rows(), strict=True):
            interval = '–' if np.isnan(row['low']) else f"[{row['low']:.4f}, {row['high']:.4f}]"
            assert cells[:2] == [row['group'], row['arch']] and cells[6] == str(row['contenders'])
            assert re.split(r'\s+', cells[5], maxsplit=1) == [f"{row['similarity']:.4f}", interval]
            assert cells[7] == 'the winner' and cells[8].split()[0] == row['fastest_contender'] and cells[9] == '0.0002'
            assert cells[10].split() == [f"{row['most_flops_similarity']:.4f}", '+0.0010']
            assert cells[12] == ('–' if np.isnan(row['half_agreement']) else '0.91')


def test_a_group_sets_the_budgets_to_its_winner(open_page, table):
    page = open_page()
    winner = make_winners(table, TASKS).iloc[1]
    page['winners'].find_elements(By.CSS_SELECTOR, 'tbody button')[1].send_keys(Keys.ENTER)
    assert page.text('arch') == winner['arch'] and winner['group'] in page.text('result-heading')
    assert winner['flops'] <= page.budget('flops', 1e9) < winner['flops'] + 1e7
    assert [row.get_attribute('class') for row in page['winners'].find_elements(By.CSS_SELECTOR, 'tbody tr')] == \
        ['', 'marked', '']


def test_what_the_best_share(open_page, table):
    page = open_page()
    page.type_budget('flops', 0.9)
    within = table[table['flops'] <= 0.9e9]
    top, won = within.nlargest(10, 'c2-c5')['arch'], make_winners(table, TASKS)['arch'][:3]
    page.until(lambda: f'best 10 of the {len(within)} subnets' in page.text('best-count'))
    labels = [figure.get_attribute('aria-label') for figure in page['shares'].find_elements(By.TAG_NAME, 'figure')]
    assert len(labels) == 9 and labels[6].startswith('Stage 3 depth. ')
    for depth in (2, 4, 6):
        counts = [sum(int(re.split('[-x]', arch)[6]) == depth for arch in archs) for archs in (top, won)]
        assert f'{depth}: {counts[0]} of 10 best, {counts[1]} of 3 winners' in labels[6]


def test_pointing_at_a_subnet_names_it(open_page, table):
    page = open_page()
    overlay, row = page['overlay'], int(table['flops'].idxmin())
    x, y = page.browser.execute_script('return [chart.px[arguments[0]], chart.py[arguments[0]]]', row)
    move = ActionChains(page.browser).move_to_element_with_offset(
        overlay, round(x - overlay.size['width'] / 2), round(y - overlay.size['height'] / 2))
    move.perform()
    assert page.text('tip').splitlines()[0] == table['arch'][row]
    move.click().perform()
    assert page.text('arch') == table['arch'][row]
    overlay.send_keys(Keys.END + Keys.ENTER)
    assert page.text('arch') == best_of(table)['arch']


@pytest.mark.parametrize('has_clipboard', [True, False])
def test_the_copy_buttons(open_page, has_clipboard):
    page = open_page()
    if not has_clipboard:
        page.browser.execute_script("Object.defineProperty(navigator, 'clipboard', {value: undefined, configurable: true})")
    for name in ('arch', 'command'):
        page[f'copy-{name}'].click()
        page.until(lambda: page.text(f'copy-{name}') == 'Copied')  # noqa: B023
        if has_clipboard:
            assert page.clipboard() == page.text(name)
    page.browser.execute_script('delete navigator.clipboard')
    assert page.clipboard() == page.text('command')


def test_markup_in_texts_is_inert(open_page, table):
    evil = '</script><script>alert(1)</script><img src=x onerror=alert(2)> $title \\u003c & "'
    page = open_page(title=evil, subtitle=evil, export_command=evil + '{arch}',
                     winners=make_winners(table, TASKS).assign(group=evil))
    with pytest.raises(NoAlertPresentException):
        page.browser.switch_to.alert  # noqa: B018
    assert page.text('command') == evil + best_of(table)['arch']
    assert page.browser.title == page.browser.find_element(By.TAG_NAME, 'h1').text == evil
    assert page.rows()[0][0] == evil
    assert len(page.browser.find_elements(By.TAG_NAME, 'script')) == 2


def test_a_ranking_with_gaps(open_page, table):
    page = open_page(ranking=table.assign(latency_ms=table['latency_ms'].where(table.index % 2 == 0), z=np.nan),
                     winners=make_winners(table, TASKS)[:0])
    assert page.text('arch') == best_of(table)['arch'] and page.rows() == [['no group holds a subnet']]
    page.type_budget('latency_ms', 8)
    assert page.text('arch') == best_of(table[table.index % 2 == 0], latency_ms=8)['arch']
    Select(page['task']).select_by_value('z')
    assert page['infeasible'].is_displayed()


@pytest.mark.parametrize('width', [400, 1000, 1600])
def test_nothing_overflows(open_page, width):
    page = open_page(title='A' * 80)
    size = dict(width=width, height=900, deviceScaleFactor=1, mobile=False)
    page.browser.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', size)
    try:
        assert page.browser.execute_script('return document.documentElement.scrollWidth <= innerWidth')
    finally:
        page.browser.execute_cdp_cmd('Emulation.clearDeviceMetricsOverride', {})


def test_the_whole_space(open_page, tmp_path):
    tasks = ['c2-c5', 'c5', 'c4-c5', 'z']
    table = make_table(DATA_SPACE, FlopsGroups.paper().edges)
    page = open_page(ranking=table, tasks=dict.fromkeys(tasks, 'similarity'), winners=make_winners(table, tasks),
                     resolution=224)
    assert (tmp_path / 'report.html').stat().st_size < 6e6
    assert page.text('arch') == best_of(table)['arch']
    page.press('flops-max', Keys.ARROW_LEFT, 150)
    page.type_budget('params', 25)
    limits = dict(flops=page.budget('flops', 1e9), params=25e6)
    assert limits['flops'] < 9e9 and page.text('arch') == best_of(table, **limits)['arch']
    Select(page['task']).select_by_value('z')
    assert page.text('arch') == best_of(table, 'z', **limits)['arch'] and len(page.rows()) == 7
