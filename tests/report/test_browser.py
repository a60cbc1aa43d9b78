"""The pages in a browser, wide and on a phone."""

import browsing
import pytest

from experiments import results, toy2d
from experiments.claims import __main__ as claims
from experiments.claims import ledger
from experiments.claims import page as claims_page
from experiments.growth import __main__ as growth
from experiments.growth import page as growth_page
from jwgan.run import launch

pytestmark = pytest.mark.slow

PAGES = ("run", "sweep", "claims", "growth")
WIDTHS = (1200, 390)
RUN = ["--width", "8", "--steps", "40", "--chunk-steps", "10", "--checkpoint-every", "20"]
SWEEP = ["--seeds", "2", "--sweep", "weight=0.1,1"]

# Every picture, those of style sheets too, as [width and height of the file, of the page].
PICTURES = """
const done = arguments[arguments.length - 1];
const drawn = async (element) => {
  const style = getComputedStyle(element).backgroundImage;
  const picture = new Image();
  picture.src = element.src || style.slice(5, -2);
  await picture.decode().catch(() => 0);
  const box = element.getBoundingClientRect();
  return [picture.naturalWidth, picture.naturalHeight, box.width, box.height];
};
const hidden = (element) => element.closest("figure") && !element.checkVisibility();
const all = [...document.querySelectorAll("img, .p")].filter((element) => !hidden(element));
Promise.all(all.map(drawn)).then(done);
"""
CHARTS = """
return [...document.querySelectorAll("svg")].map((svg) => {
  const box = svg.getBoundingClientRect();
  return [box.width, box.height, svg.querySelectorAll("path").length];
});
"""
# Neighbours among an axis's labels that overlap, and labels that stick out of the page.
BAD_LABELS = """
const bad = [];
for (const axis of document.querySelectorAll(".ticks")) {
  const boxes = [...axis.children].map((label) => [label.innerText, label.getBoundingClientRect()]);
  for (const [text, box] of boxes)
    if (box.left < 0 || box.right > innerWidth) bad.push(`${text} sticks out`);
  for (let i = 1; i < boxes.length; i++) {
    const [a, b] = [boxes[i - 1][1], boxes[i][1]];
    const apart = a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
    if (!apart) bad.push(`${boxes[i - 1][0]} over ${boxes[i][0]}`);
  }
}
return bad;
"""
# Text that is cut off: wider than the box it stands in, where that box does not scroll.
CLIPPED = """
const clipped = [];
for (const element of document.querySelectorAll("h1, h2, h3, p, dd, dt, td, th, pre, label"))
  if (element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0
      && !["auto", "scroll"].includes(getComputedStyle(element).overflowX))
    clipped.push(`${element.tagName}: ${element.innerText.slice(0, 60)}`);
return clipped;
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """{name: file} of the report of a run, of a sweep, and of recorded results."""
    folder = tmp_path_factory.mktemp("pages")
    for name, more in (("run", ["--no-quality"]), ("sweep", SWEEP)):
        launch.main(toy2d.EXPERIMENT, [*RUN, *more, "--run-dir", str(folder / name)])
    known = {number: claims.last(number, quick=False) for number in ledger.MODULES}
    claims_page.write(
        {number: found for number, found in known.items() if found}, folder / "claims"
    )
    recorded = results.load("growth")["figures"]
    (folder / "growth").mkdir()
    (folder / "growth" / "report.html").write_text(growth_page.render(recorded, growth.AXES))
    return {name: folder / name / "report.html" for name in PAGES}


@pytest.fixture(scope="module")
def browser():
    driver = browsing.open_browser()
    yield driver
    driver.quit()


@pytest.fixture
def show(browser, pages):
    """`(page, width)` opens a page at a width, everything in it unfolded."""

    def open_page(name, width):
        browsing.show(browser, pages[name], width)
        browser.execute_script("document.querySelectorAll('details').forEach(x => x.open = true)")
        return browser

    return open_page


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_in_a_browser(name, width, show):
    browser = show(name, width)
    assert browser.title
    scrolled = browser.execute_script("return document.scrollingElement.scrollWidth")
    assert scrolled <= width, "the page itself scrolls sideways"
    pictures = browser.execute_async_script(PICTURES)
    assert len(pictures) == {"run": 4, "sweep": 4, "claims": len(ledger.MODULES), "growth": 0}[name]
    assert all(min(sizes) > 0 for sizes in pictures)
    charts = browser.execute_script(CHARTS)
    assert bool(charts) == (name != "claims")
    assert all(min(sizes) > 0 for sizes in charts)
    assert browser.execute_script(BAD_LABELS) == []
    assert browser.execute_script(CLIPPED) == []
    assert browser.get_log("browser") == []
    urls = browsing.requested(browser)
    assert urls[0] == browser.current_url
    assert [url for url in urls[1:] if not url.startswith("data:")] == []
