"""A page as its users see it, in a headless Chromium."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.helpers import require_program
from tests.waiting import PATIENCE

SWITCHES = (
    "--headless=new",
    "--no-sandbox",  # root cannot use the sandbox
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
)

HEIGHT = 700
"""The height of the page, in CSS pixels."""

FAINT_TEXTS = (Path(__file__).parent / "browser" / "faint_texts.js").read_text()

Result = TypeVar("Result")


def chromium(profile: Path) -> webdriver.Chrome:
    """Start a Chromium with a new ``profile``."""
    options = webdriver.ChromeOptions()
    options.binary_location = require_program("chromium", "chromium-browser", "google-chrome")
    for switch in (*SWITCHES, f"--user-data-dir={profile}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options, webdriver.ChromeService(require_program("chromedriver")))


class Page:
    """What a person sees and does on a page."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver
        self.patience = PATIENCE
        """Seconds to wait for what must happen."""

    def open(self, url: str, width: int) -> None:
        """Show the page at ``url``, ``width`` CSS pixels wide."""
        metrics = {"width": width, "height": HEIGHT, "deviceScaleFactor": 0, "mobile": True}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
        self.driver.get(url)

    def close(self) -> None:
        """Leave the browser with an empty window, without the sessions of this one and without complaints."""
        windows = self.driver.window_handles
        self.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        self.driver.switch_to.new_window("tab")
        new = self.driver.current_window_handle
        for window in windows:
            self.driver.switch_to.window(window)
            self.driver.close()
        self.driver.switch_to.window(new)
        self.complaints()

    def wait(self, condition: Callable[[], Result], what: str) -> Result:
        """Wait until ``condition`` returns something true, and return it."""
        try:
            result: Result = WebDriverWait(self.driver, self.patience, poll_frequency=0.05).until(
                lambda _: condition()
            )
        except TimeoutException:
            raise AssertionError(f"the page never showed {what}; it shows:\n{self.text('body')}") from None
        return result

    def find(self, selector: str) -> WebElement:
        """Return the first element that the CSS ``selector`` matches."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """Return the visible text of the first element that ``selector`` matches."""
        return self.find(selector).text

    def texts(self, selector: str) -> list[str]:
        """Return the whole text of each element that ``selector`` matches, visible or not, at one moment."""
        script = "return Array.from(document.querySelectorAll(arguments[0]), (one) => one.textContent)"
        texts: list[str] = self.driver.execute_script(script, selector)
        return texts

    def choose_scheme(self, scheme: str) -> None:
        """Prefer "light" or "dark" colours."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def scrolled_out_of_sight(self, selector: str) -> tuple[int, int]:
        """Return how many CSS pixels of an element's content are out of sight, across and down."""
        script = (
            "const one = document.querySelector(arguments[0]);"
            "return [one.scrollWidth - one.clientWidth, one.scrollHeight - one.clientHeight]"
        )
        across, down = self.driver.execute_script(script, selector)
        return across, down

    def faint_texts(self) -> list[str]:
        """Return the visible texts whose contrast is below 4.5, the minimum of WCAG 2.2, 1.4.3."""
        texts: list[str] = self.driver.execute_script(FAINT_TEXTS)
        return texts

    def complaints(self) -> list[str]:
        """Return what is in the browser's console: errors and violations of the content security policy."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


class OpenBrowser(Protocol):
    """Opens the page at ``url`` in a new browser, ``width`` CSS pixels wide."""

    def __call__(self, url: str, width: int = 1200) -> webdriver.Chrome: ...
