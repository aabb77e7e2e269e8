"""The page "A model in a browser" in a real browser, beside predictions in Python.

`make test-browser` installs selenium and ziglang for it. It needs Chromium and chromedriver.
"""

import base64
import importlib.util
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

DOCS = Path(__file__).parents[2] / "docs"
pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="no docs beside the tests")
pytest.importorskip("ziglang", reason="make test-browser installs it")
webdriver = pytest.importorskip("selenium.webdriver", reason="make test-browser installs it")
wait = pytest.importorskip("selenium.webdriver.support.wait")

OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
MOST_ULPS = 16
ROOT = "document.getElementById('browser-network')"


@pytest.fixture(scope="module")
def page():
    """The extension of Sphinx that makes the page."""
    spec = importlib.util.spec_from_file_location(
        "browser_page", DOCS / "extensions" / "browser_page.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(page):
    return page.make()


@pytest.fixture(scope="module")
def browser(page, made, tmp_path_factory):
    """A browser that shows the figure from a file, without a server."""
    options = webdriver.ChromeOptions()
    for option in OPTIONS:
        options.add_argument(option)
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    file = tmp_path_factory.mktemp("page") / "page.html"
    file.write_text(page.ALONE.format(figure=made[0]), encoding="utf-8")
    try:
        driver.get(file.as_uri())
        driver.complaints = driver.get_log("browser")  # before the tests read pixels
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def slider(browser):
    return browser.find_element("css selector", "input[type=range]")


def predict(browser, k, rows):
    """Probabilities, as the script of the page finds them."""
    answer = browser.execute_script(
        f"return {ROOT}.predict(arguments[0], arguments[1])", k, rows.tolist()
    )
    return np.array(answer, np.float32)


def pixels(browser, number):
    """The picture of a canvas: rows, columns, colours."""
    values = browser.execute_script(
        "const c = document.querySelectorAll('canvas')[arguments[0]];"
        "return Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)",
        number,
    )
    return np.array(values).reshape(320, 320, 4)[..., :3]


def set_slider(slider, k):
    slider.send_keys(webdriver.Keys.HOME, *[webdriver.Keys.ARROW_RIGHT] * k)
    assert int(slider.get_attribute("value")) == k


def test_predictions_are_those_of_python(page, made, browser):
    """For every network: the rule of tests/export, more rows than one call takes among them."""
    rng = np.random.RandomState(1)
    for k, model in enumerate(made[1]):
        n = page.ROWS + 3 if k == 0 else 300
        rows = rng.uniform(-3, 3, (n, 2)).astype(np.float32)
        expected = model.predict_proba(rows)
        one_ulp = np.spacing(expected.max(axis=1, keepdims=True))
        distance = np.abs(predict(browser, k, rows) - expected) / one_ulp
        assert distance.max() <= MOST_ULPS


def test_networks_are_those_that_the_page_names(page, made):
    assert len(made[1]) == len(page.EPOCHS) == len({m.coefs_[0].tobytes() for m in made[1]})
    assert [model.t_ for model in made[1]] == [300 * epoch for epoch in page.EPOCHS]


def test_region_has_the_colours_of_the_classes(page, made, browser, slider):
    """A pixel far from points is the mean of the colours, by the probabilities of Python."""
    colours = np.array([[31, 95, 168], [224, 123, 40], [58, 145, 88]])
    pale = 255 - 0.55 * (255 - colours)
    X, _ = page.spirals()
    at = np.stack(np.meshgrid(*[np.arange(4, 320, 8)] * 2), axis=-1).reshape(-1, 2)  # column, row
    rows = (((at + 0.5) / 160 - 1) * [1, -1]).astype(np.float32)
    far = np.abs(rows[:, None] - X).max(axis=2).min(axis=1) > 0.04
    for k in (0, 5, len(page.EPOCHS) - 1):
        set_slider(slider, k)
        shares = made[1][k].predict_proba(rows)
        seen = pixels(browser, 0)[at[far, 1], at[far, 0]]
        # To the rounding, and the blur of cells that are two pixels wide.
        assert np.abs(seen - shares[far] @ pale).max() < 12


def test_slider_changes_both_pictures_and_the_line_of_text(page, made, browser, slider):
    X, y = page.spirals()
    seen = set()
    for k, (epoch, model) in enumerate(zip(page.EPOCHS, made[1], strict=True)):
        set_slider(slider, k)
        right = int((model.predict(X) == y).sum())
        text = browser.find_element("tag name", "output").text
        assert text == f"after epoch {epoch}: {right} of 300 points are right"
        seen.add((pixels(browser, 0).tobytes(), pixels(browser, 1).tobytes()))
    first, second = zip(*seen, strict=True)
    assert len(set(first)) == len(set(second)) == len(page.EPOCHS)


def test_play_runs_to_the_last_epoch(page, browser, slider):
    set_slider(slider, len(page.EPOCHS) - 3)
    button = browser.find_element("tag name", "button")
    button.click()
    assert button.text == "Stop"
    wait.WebDriverWait(browser, 10).until(lambda _: button.text == "Play")
    assert int(slider.get_attribute("value")) == len(page.EPOCHS) - 1


def test_pointer_reads_probabilities(made, browser, slider):
    set_slider(slider, 3)
    canvas = browser.find_element("tag name", "canvas")
    webdriver.ActionChains(browser).move_to_element_with_offset(canvas, 40, -80).perform()
    text = browser.find_elements("tag name", "p")[-1].text
    x, y = map(float, re.match(r"At \((\S+), (\S+)\)", text).groups())
    assert abs(x - 40 / 160) < 0.02 and abs(y - 80 / 160) < 0.02
    shares = [float(share) for share in re.findall(r"class \d: (\S+?)(?:,|$)", text)]
    np.testing.assert_allclose(shares, made[1][3].predict_proba([[x, y]])[0], atol=0.05)


def test_nothing_is_loaded_and_nothing_complains(browser):
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert browser.complaints == []


def test_module_imports_nothing_and_is_small(made):
    text = re.search(r'<script type="application/json">(.*?)</script>', made[0])[1]
    module = base64.b64decode(json.loads(text)["module"])
    assert module[:4] == b"\0asm" and b"wasi_snapshot" not in module
    assert len(module) < 64_000


def test_guide_shows_the_command(page):
    text = (DOCS / "guide" / "browser.md").read_text(encoding="utf-8")
    assert " ".join(page.COMPILE) in text.replace("\\\n  ", "")
