"""A headless browser for the tests of pages; needs Debian's chromium and chromium-driver."""

import json
import shutil

from selenium import webdriver
from selenium.webdriver.chrome.service import Service


def open_browser():
    """A driver whose console and network are logged; quit it at the end."""
    paths = [shutil.which(name) for name in ("chromium", "chromedriver")]
    assert all(paths), "install Debian's packages chromium and chromium-driver"
    options = webdriver.ChromeOptions()
    options.binary_location = paths[0]
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-background-networking"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options, Service(paths[1]))


def show(browser, path, width, **media):
    """Opens a file at a width; what was logged before is forgotten.

    Args:
      media: features such as prefers_color_scheme="dark".
    """
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": k.replace("_", "-"), "value": v} for k, v in media.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    for log in ("browser", "performance"):
        browser.get_log(log)  # what is read is gone
    browser.get(path.as_uri())


def requested(browser):
    """Addresses of everything that the page has asked for, itself first."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
    return [each["request"]["url"] for each in sent]
