"""The theatre in a browser: it plays, obeys keys and hands, and says the numbers it shows."""

import re
import time

import browsing
import numpy as np
import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from experiments.theatre import moving, packing, page, recording

pytestmark = pytest.mark.slow

STEPS = list(range(0, 240, 10))
HALF = 2.0
# Canvases on which nothing is drawn.
BLANK = """
return [...document.querySelectorAll("canvas")].filter((canvas) => {
  const {width, height} = canvas;
  return !canvas.getContext("2d").getImageData(0, 0, width, height).data.some((x) => x);
}).map((canvas) => canvas.className);
"""


def frames_of(rng, balance):
    """Frames whose critic is the plane 3 x + 4 y in every frame."""
    count, grid, arrows = len(STEPS), recording.GRID, recording.ARROWS
    plane = recording.square(HALF, grid) @ np.array([3.0, 4.0])
    falling = [0.5**i for i in range(count)]
    numbers = {name: falling for name in ("w1", "estimate", "bound", "slope", "steepest")}
    balanced = {"k": falling, "convergence": [None, *falling[1:]]}
    return recording.Frames(
        samples=rng.normal(size=(count, recording.POINTS, 2)),
        heights=np.tile(plane.reshape(grid, grid), (count, 1, 1)),
        arrows=np.tile([3.0, 4.0], (count, arrows, arrows, 1)),
        weights=rng.normal(size=(count, 500)),
        numbers={**numbers, **(balanced if balance else {})},
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    rng = np.random.default_rng(0)
    real = rng.normal(size=(recording.POINTS, 2)).clip(-HALF, HALF)
    made = {name: frames_of(rng, name == "began") for name in ("wgan", "began")}
    played = {
        "world": "eight_gaussians",
        "settings": {"steps": 230, "dataset": "eight_gaussians"},
        "steps": STEPS,
        "half": HALF,
        "floor": 0.1,
        "modes": None,
        "real": packing.text(packing.coordinates(real, HALF)),
        "sides": {
            **{"points": recording.POINTS, "grid": recording.GRID},
            **{"arrows": recording.ARROWS, "bins": packing.BINS},
        },
        "members": [packing.pack(name, frames, HALF) for name, frames in made.items()],
        "bells": moving.bells(),
        "plan": moving.plans(rng.normal(size=(24, 2)), real, HALF),
    }
    found = tmp_path_factory.mktemp("theatre") / "theatre.html"
    found.write_text(page.render(played), encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def browser():
    driver = browsing.open_browser()
    yield driver
    driver.quit()


def stage(browser, name="family"):
    """(text of the button, of the bar) of a stage."""
    root = browser.find_element(By.ID, name)
    return [root.find_element(By.CLASS_NAME, part).text for part in ("play", "now")]


def press(browser, *keys):
    ActionChains(browser).send_keys(*keys).perform()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_the_theatre_is_whole(browser, path, width, scheme):
    media = {"prefers_reduced_motion": "reduce", "prefers_color_scheme": scheme}
    browsing.show(browser, path, width, **media)
    time.sleep(0.5)
    assert browser.execute_script("return document.scrollingElement.scrollWidth") <= width
    assert browser.execute_script(BLANK) == []
    assert browser.get_log("browser") == []
    assert [url for url in browsing.requested(browser) if not url.startswith("data:")] == [
        browser.current_url
    ]


def test_it_plays_by_itself_to_the_end_and_can_be_paused(browser, path):
    browsing.show(browser, path, 1200, prefers_reduced_motion="no-preference")
    deadline = time.monotonic() + 20
    while stage(browser) != ["Play", "step 230"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    # Played to the end, it begins anew, and a pause holds it where it is.
    press(browser, "-", "-", " ")
    assert stage(browser)[0] == "Pause"
    press(browser, " ")
    held = stage(browser)
    assert held[0] == "Play"
    time.sleep(0.5)
    assert stage(browser) == held


def test_less_motion_is_obeyed(browser, path):
    browsing.show(browser, path, 1200, prefers_reduced_motion="reduce")
    time.sleep(0.7)
    assert stage(browser) == ["Play", "step 0"]


def test_keys_move_the_stage_in_view(browser, path):
    browsing.show(browser, path, 1200, prefers_reduced_motion="reduce")
    shown = []
    for key in (Keys.RIGHT, Keys.RIGHT, Keys.LEFT, Keys.END, Keys.RIGHT, Keys.HOME, Keys.LEFT):
        press(browser, key)
        shown.append(stage(browser)[1])
    expected = [10, 20, 10, 230, 230, 0, 0]
    assert shown == [f"step {step}" for step in expected]
    # Numbers in words follow, for a reader that sees no canvas.
    press(browser, Keys.RIGHT)
    field = browser.find_element(By.CLASS_NAME, "field")
    assert "wgan, step 10: W1 0.5; estimate 0.5" in field.get_attribute("aria-label")
    browser.execute_script("document.getElementById('plan').scrollIntoView()")
    press(browser, Keys.END)
    assert stage(browser, "plan")[1] != "exchange 0"
    assert stage(browser)[1] == "step 10"
    assert "no exchange is left" in browser.find_element(By.CSS_SELECTOR, "#plan .live").text


def test_the_landscape_says_its_numbers(browser, path):
    browsing.show(browser, path, 1200, prefers_reduced_motion="reduce")
    field = browser.find_element(By.CLASS_NAME, "field")
    # In the middle of the window: offsets count from the middle of what can be seen.
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", field)
    side = field.size["width"]
    # A quarter of the side right of the middle and above it: x = y = 1, and 3 + 4 = 7.
    ActionChains(browser).move_to_element_with_offset(field, side // 4, -(side // 4)).perform()
    said = browser.find_element(By.ID, "tip").text
    score, slope = (
        float(re.search(rf"{name} (?:about )?([\d.]+)", said)[1]) for name in ("score", "slope")
    )
    assert score == pytest.approx(7, abs=0.25)
    assert slope == pytest.approx(5, abs=0.05)


def test_a_press_on_a_chart_goes_there(browser, path):
    browsing.show(browser, path, 1200, prefers_reduced_motion="reduce")
    chart = browser.find_element(By.CLASS_NAME, "overview")
    right = chart.size["width"] // 2 - 10
    ActionChains(browser).move_to_element_with_offset(chart, right, 0).click().perform()
    assert stage(browser)[1] == "step 230"
    assert "began 1.2·10⁻⁷" in browser.find_element(By.ID, "tip").text


def test_the_stronger_shade_is_the_higher(browser, path):
    """3 x + 4 y is low in the corner below left and high in that above right."""
    browsing.show(browser, path, 1200, prefers_reduced_motion="reduce")
    field = browser.find_element(By.CLASS_NAME, "field")
    shades = browser.execute_script(
        """
        const canvas = arguments[0], ctx = canvas.getContext("2d");
        const [w, h] = [canvas.width - 1, canvas.height - 1];
        const at = (u, v) => ctx.getImageData(u * w, v * h, 1, 1).data[3];
        return [at(0.02, 0.98), at(0.98, 0.02)];
        """,
        field,
    )
    assert shades[1] > shades[0]
