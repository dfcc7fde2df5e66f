"""A headless Chromium, and a page of the project in it."""

import contextlib
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator

import pytest
from selenium import webdriver
from selenium.webdriver import Keys
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait


@contextlib.contextmanager
def start_browser() -> Iterator[webdriver.Chrome]:
    """Skip the tests if there is no browser; in CI, fail."""
    driver = shutil.which('chromedriver')
    program = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    if not driver or not program:
        missing = 'no chromium with its driver: apt-get install chromium chromium-driver'
        pytest.fail(missing) if os.environ.get('CI', '').lower() in ('1', 'true') else pytest.skip(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ('headless=new', 'no-sandbox', 'disable-gpu', 'disable-dev-shm-usage', 'window-size=1400,1000'):
        options.add_argument(f'--{argument}')
    options.set_capability('goog:loggingPrefs', dict(browser='ALL', performance='ALL'))
    browser = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield browser
    finally:
        browser.quit()


class Page:
    """The page in the browser: what a person sees and does."""

    def __init__(self, browser: webdriver.Chrome, path: pathlib.Path) -> None:
        self.browser = browser
        browser.get(path.as_uri())
        browser.execute_cdp_cmd('Browser.grantPermissions', dict(permissions=['clipboardReadWrite']))

    def __getitem__(self, name: str) -> WebElement:
        return self.browser.find_element(By.ID, name)

    def text(self, name: str) -> str:
        return self[name].text

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for what the page does a moment later."""
        WebDriverWait(self.browser, 20, poll_frequency=0.02).until(lambda _: condition())

    def press(self, name: str, key: str, times: int = 1) -> None:
        self[name].send_keys(key * times)

    def budget(self, name: str, unit: float, end: str = 'max') -> float:
        return round(float(self[f'{name}-{end}-number'].get_attribute('value')) * unit, 6)

    def type_budget(self, name: str, value: float, end: str = 'max') -> None:
        self[f'{name}-{end}-number'].send_keys(Keys.CONTROL + 'a')
        self[f'{name}-{end}-number'].send_keys(f'{value}{Keys.TAB}')

    def clipboard(self) -> str:
        return self.browser.execute_async_script('navigator.clipboard.readText().then(arguments[0])')

    def rows(self) -> list[list[str]]:
        return [[cell.text for cell in row.find_elements(By.TAG_NAME, 'td')]
                for row in self['winners'].find_elements(By.CSS_SELECTOR, 'tbody tr')]
