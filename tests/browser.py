"""A headless Chromium for tests of pages; without it or its driver, these tests are skipped and say so."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BUILD = Path(__file__).parents[1] / "build"
"""Where screenshots go, for a person to look at."""

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-features=Translate,MediaRouter,OptimizationHints",
    # a page must not need the network: every host except this machine is unknown
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    "--hide-scrollbars",
)


@contextmanager
def open_page(
    page: Path | str, profile: Path, *, wh: tuple[int, int] = (1280, 900), flags: tuple[str, ...] = ()
) -> Iterator["Page"]:
    """The page, opened in a browser of its own.

    Args:
        page: HTML file, or an address on this machine.
        profile: an empty folder for the browser's own files.
        wh: width and height of the window; 390 wide is a phone.
        flags: more flags of the browser.
    """
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: no browser test")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver_path = shutil.which("chromedriver")
    if chromium is None or driver_path is None:
        pytest.skip("no browser test: needs chromium and chromedriver (Debian packages chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, *flags, f"--user-data-dir={profile}", f"--window-size={wh[0]},{wh[1]}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver_path))
    try:
        driver.set_page_load_timeout(180)  # a loaded machine may take its time
        # the window has a minimum width; a phone's screen is narrower
        metrics = {"width": wh[0], "height": wh[1], "deviceScaleFactor": 1, "mobile": wh[0] < 500}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        driver.get("about:blank")
        driver.get_log("performance")  # what the browser's own first page loaded
        driver.get(page.resolve().as_uri() if isinstance(page, Path) else page)
        yield Page(driver)
    finally:
        driver.quit()


class Page:
    """A page in the browser. Elements are named by CSS selectors; `driver` is selenium's, for everything else."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def reload(self) -> None:
        """Loads the page again; once more where Chromium loses the tab over it, as it sometimes does when busy."""
        from selenium.common.exceptions import TimeoutException

        try:
            self.driver.refresh()
        except TimeoutException:
            self.driver.refresh()

    def run(self, script: str, *arguments: object) -> Any:
        """What the script returns."""
        return self.driver.execute_script(script, *arguments)

    def texts(self, selector: str) -> list[str]:
        """Visible text of every matching element."""
        return [element.text for element in self.driver.find_elements("css selector", selector)]

    def count_shown(self, selector: str) -> int:
        """How many matching elements are visible."""
        return sum(element.is_displayed() for element in self.driver.find_elements("css selector", selector))

    def click(self, selector: str) -> None:
        """A real click in the middle of the first matching element."""
        self.driver.find_element("css selector", selector).click()

    def point_at(self, selector: str) -> None:
        """Moves the mouse to the first matching element."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).move_to_element(self.driver.find_element("css selector", selector)).perform()

    def type(self, selector: str, text: str) -> None:
        """Types into the first matching element, after its present text."""
        self.driver.find_element("css selector", selector).send_keys(text)

    def choose(self, selector: str, value: str) -> None:
        """Chooses an option of a drop-down list by its value."""
        from selenium.webdriver.support.select import Select

        Select(self.driver.find_element("css selector", selector)).select_by_value(value)

    def media(self, kind: str) -> None:
        """`print` shows the page as it prints, `screen` as before."""
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": kind})

    def messages(self) -> list[str]:
        """The console's messages since the last call: errors of scripts, refused loads, and all others."""
        return [f"{each['level']}: {each['message']}" for each in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Addresses that the page requested since the last call, except data inside the page."""
        events = [json.loads(each["message"])["message"] for each in self.driver.get_log("performance")]
        asked = [each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"]
        return [address for address in asked if not address.startswith("data:")]

    def screenshot(self, name: str) -> Path:
        """Saves what the window shows as `build/<name>.png`."""
        BUILD.mkdir(exist_ok=True)
        path = BUILD / f"{name}.png"
        path.write_bytes(self.driver.get_screenshot_as_png())
        return path
