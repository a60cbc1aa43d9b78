"""The reference in a browser: its search finds names, its formulas are drawn, nothing is loaded."""

import pathlib
import time

import browsing
import pytest
from selenium.webdriver.common.by import By

from experiments.reference import __main__ as reference

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """(the folder, its figures)."""
    folder = tmp_path_factory.mktemp("reference") / "site"
    return folder, reference.write(folder)


@pytest.fixture(scope="module")
def browser():
    driver = browsing.open_browser()
    yield driver
    driver.quit()


def test_every_name_has_a_docstring_and_no_link_is_dead(site):
    folder, found = site
    assert found["dead_links"] == []
    assert found["with_docstring"] == found["names"] > 400
    for name in reference.module_names():
        assert (folder / f"{name.replace('.', '/')}.html").is_file(), name


def test_names_formulas_and_pages(site, browser):
    folder, _ = site
    browsing.show(browser, folder / "jwgan" / "penalties.html", 1200)
    drawn = [element.size for element in browser.find_elements(By.TAG_NAME, "math")]
    assert len(drawn) > 8
    assert all(size["width"] > 4 and size["height"] > 4 for size in drawn if size["width"])
    assert max(size["width"] for size in drawn) > 100  # the formula on a line of its own
    assert "$" not in browser.find_element(By.CSS_SELECTOR, ".module-info .docstring").text
    browsing.show(browser, folder / "pages" / "experiments" / "divergences.html", 1200)
    widths = browser.execute_script(
        "return [...document.images].map((image) => image.naturalWidth)"
    )
    assert len(widths) >= 2
    assert min(widths) > 100
    browsing.show(browser, folder / "index.html", 390)
    assert browser.execute_script("return document.scrollingElement.scrollWidth") <= 390
    texts = [link.text for link in browser.find_elements(By.TAG_NAME, "a")]
    assert "jwgan.penalties" in texts
    assert "Experiments" in texts
    assert browser.get_log("browser") == []


def test_the_search_finds_a_name(site, browser):
    folder, _ = site
    browsing.show(browser, folder / "jwgan" / "loop.html", 1200)
    browser.find_element(By.CSS_SELECTOR, "input[type=search]").send_keys("linear hinge penalty")
    deadline = time.monotonic() + 30
    while not (found := browser.find_elements(By.CSS_SELECTOR, "main .docstring")):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    text = browser.find_element(By.TAG_NAME, "main").text
    assert "linear_hinge_penalty" in text
    assert found
    urls = [url for url in browsing.requested(browser) if not url.startswith("data:")]
    assert urls
    assert all(pathlib.Path(url.removeprefix("file://").split("?")[0]).exists() for url in urls)
