"""The report in a real browser, opened from the disk as users open it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from chromium import BROWSER, DRIVER, MISSING, open_chromium
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from evaluator.evaluation_pages import UnreadablePage, decode_page
from ocr.page import Page
from tests.evaluator.made_report import BASELINE, FINETUNED, HOSTILE, write_made_report

HOSTILE_PAGE = f"hostile {HOSTILE[0]}"

pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason=MISSING)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_made_report(tmp_path_factory.mktemp("report")).as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    driver = open_chromium(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: webdriver.Chrome, index: str) -> Iterator[webdriver.Chrome]:
    """The report, just opened by somebody who never chose a language or a theme; ends without a word on the console."""
    browser.get(index)
    yield browser
    browser.execute_script("localStorage.clear()")
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]
    assert browser.execute_script("return window.hacked") is None


def at(browser: webdriver.Chrome, selector: str) -> WebElement:
    return browser.find_element(By.CSS_SELECTOR, selector)


def texts(browser: webdriver.Chrome, selector: str) -> list[str]:
    """What stands in the elements that are shown."""
    script = "return [...document.querySelectorAll(arguments[0])].filter(shown).map((node) => node.textContent)"
    found: list[str] = browser.execute_script(
        f"const shown = (node) => node.getClientRects().length; {script}", selector
    )
    return found


def boxes(browser: webdriver.Chrome, selector: str) -> int:
    return len(texts(browser, f"#boxes polygon{selector}"))


def press(browser: webdriver.Chrome, *keys: str) -> None:
    for key in keys:
        ActionChains(browser).send_keys(key).perform()


def until(browser: webdriver.Chrome, condition: str, *arguments: Any) -> None:
    """Wait for a JavaScript condition: a page's words are loaded from a file."""
    WebDriverWait(browser, 5, poll_frequency=0.02).until(
        lambda driver: driver.execute_script(f"return {condition}", *arguments), condition
    )


def open_page(browser: webdriver.Chrome, number: int, num_boxes: int) -> None:
    browser.execute_script("app.go({view: 'page', page: arguments[0]})", number)
    until(browser, "document.querySelectorAll('#boxes polygon').length === arguments[0]", num_boxes)


def test_the_overview_has_a_line_a_system(page: webdriver.Chrome) -> None:
    rows = texts(page, "#result tbody th")
    assert [row.split(" ")[0] for row in rows] == [f"●{BASELINE}", "■<b"]
    assert texts(page, ".fate-row .name") == [BASELINE, FINETUNED]
    assert len(texts(page, ".plot svg")) == 5
    assert texts(page, ".notice li") == [f"1 × cannot be decoded: {HOSTILE[0]}"]


def test_the_list_is_sorted_by_its_heads(page: webdriver.Chrome) -> None:
    press(page, "l")
    names = "#list-body td a"
    assert texts(page, names) == ["mixed", "perfect", "broken", HOSTILE_PAGE]
    wrong = "#list-head [data-column=wrong]"
    at(page, f"{wrong} button").click()
    assert texts(page, names) == [HOSTILE_PAGE, "mixed", "perfect", "broken"]
    assert at(page, wrong).get_attribute("aria-sort") == "descending"
    press(page, Keys.ENTER)
    assert texts(page, names) == ["perfect", "broken", "mixed", HOSTILE_PAGE]
    assert at(page, wrong).get_attribute("aria-sort") == "ascending"


def test_the_list_is_filtered(page: webdriver.Chrome) -> None:
    press(page, "l")
    Select(at(page, "#list-state")).select_by_value("failed")
    assert texts(page, "#list-body td a") == ["broken"]
    assert texts(page, "#list-body .failure") == [f"Failed: cannot be decoded: {HOSTILE[0]}"]
    Select(at(page, "#list-state")).select_by_value("")
    Select(at(page, "#list-category")).select_by_value("주민자치")
    assert texts(page, "#list-body td a") == ["perfect", "broken"]
    at(page, "#list-search").send_keys("perf")
    until(page, "document.querySelectorAll('#list-body tr').length === 1")
    assert texts(page, "#list-count") == ["1 of 4"]


def test_boxes_and_counts_are_those_of_the_fates(page: webdriver.Chrome) -> None:
    open_page(page, 0, 7)
    counts = {fate: texts(page, f"#count-{fate}") for fate in ("right", "wrong", "missed", "false")}
    assert counts == {"right": ["1"], "wrong": ["1"], "missed": ["2"], "false": ["1"]}
    assert [boxes(page, f".{fate}") for fate in counts] == [2, 2, 2, 1]
    press(page, "s")
    until(page, "document.querySelector('#count-wrong').textContent === '2'")
    assert Select(at(page, "#system")).first_selected_option.text == BASELINE


@pytest.mark.parametrize(
    ("key", "gone"),
    [("1", ".right"), ("2", ".wrong"), ("3", ".missed"), ("4", ".false"), ("r", ".reference"), ("p", ".prediction")],
)
def test_a_layer_is_drawn_or_not(page: webdriver.Chrome, key: str, gone: str) -> None:
    open_page(page, 0, 7)
    drawn = boxes(page, gone)
    press(page, key)
    assert drawn > 0 and boxes(page, gone) == 0 and boxes(page, "") == 7 - drawn
    at(page, f"[data-layer={gone[1:]}]").click()
    assert boxes(page, "") == 7


def test_texts_over_the_boxes(page: webdriver.Chrome) -> None:
    open_page(page, 0, 7)
    assert texts(page, "#boxes text") == []
    press(page, "t")
    assert sorted(texts(page, "#boxes text")) == sorted(["가나다", "서울시청", "ㅡ", "2024년", "끝."])


def test_errors_are_gone_through_by_keyboard(page: webdriver.Chrome) -> None:
    open_page(page, 0, 7)
    assert texts(page, "#error-count") == ["Errors: 4"]
    press(page, "n")
    assert texts(page, "#details dd")[:3] == ["서울", "서울시청", "2"]
    assert texts(page, "#error-count") == ["Error 1 of 4"]
    press(page, "n", "n", "n")
    assert texts(page, "#details h2") == ["False"]
    # The next page with an error is the third one; the one before it has none.
    press(page, "n")
    until(page, "document.querySelector('#page-title').textContent === 'broken'")
    assert texts(page, "#details h2") == ["Missed"]
    ActionChains(page).key_down(Keys.SHIFT).send_keys("n").key_up(Keys.SHIFT).perform()
    until(page, "document.querySelector('#page-title').textContent === 'mixed'")
    assert texts(page, "#details h2") == ["False"]
    press(page, Keys.ESCAPE)
    assert texts(page, "#details dd") == []
    press(page, Keys.ESCAPE)
    assert at(page, "#view-list").is_displayed()


def test_pages_are_gone_through_in_the_order_of_the_list(page: webdriver.Chrome) -> None:
    press(page, "l")
    at(page, "#list-head [data-column=wrong] button").click()
    open_page(page, 0, 7)
    press(page, Keys.ARROW_RIGHT)
    until(page, "document.querySelector('#page-title').textContent === 'perfect'")
    press(page, Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    until(page, "document.querySelector('#page-title').textContent === arguments[0]", HOSTILE_PAGE)
    page.back()
    until(page, "document.querySelector('#page-title').textContent === 'mixed'")


def test_keys_work_with_a_korean_input_method(page: webdriver.Chrome) -> None:
    open_page(page, 0, 7)
    page.execute_script(
        "document.dispatchEvent(new KeyboardEvent('keydown', {key: 'ㅜ', code: 'KeyN', bubbles: true}))"
    )
    assert texts(page, "#error-count") == ["Error 1 of 4"]


def test_zoom(page: webdriver.Chrome) -> None:
    def width() -> float:
        return float(page.execute_script("return document.querySelector('#sheet').getBoundingClientRect().width"))

    open_page(page, 0, 7)
    fitted = width()
    press(page, "+")
    assert width() == pytest.approx(1.25 * fitted, rel=0.01)
    press(page, "0")
    assert width() == pytest.approx(fitted, rel=0.01)
    ActionChains(page).scroll_from_origin(ScrollOrigin.from_element(at(page, "#stage")), 0, -200).perform()
    until(page, "document.querySelector('#sheet').getBoundingClientRect().width > arguments[0]", 1.2 * fitted)


def test_pointing_at_a_word_shows_both_texts_and_a_click_keeps_it(page: webdriver.Chrome) -> None:
    open_page(page, 0, 7)
    ActionChains(page).move_to_element(at(page, "#boxes .prediction.wrong")).perform()
    assert texts(page, "#tip dd")[:2] == ["서울", "서울시청"]
    assert texts(page, "#tip mark")[:2] == ["시", "청"]
    ActionChains(page).click().perform()
    assert texts(page, "#details h2") == ["Wrong text"]
    # The other system's reading of the same word stands below, and is what the next system shows.
    assert texts(page, "#details dd")[-1] == "서올"
    press(page, "s")
    until(page, "document.querySelector('#details dd:nth-of-type(2)').textContent === '서올'")


def test_the_worst_words(page: webdriver.Chrome) -> None:
    press(page, "w")
    until(page, "document.querySelectorAll('#cards li').length === 5")
    assert texts(page, "#cards .pair:nth-of-type(3) .text")[0] == "서울시청"
    at(page, "#words-search").send_keys("시청")
    until(page, "document.querySelectorAll('#cards li').length === 1")
    at(page, "#cards a").click()
    until(page, "document.querySelector('#details dd')?.textContent === '서울'")


def test_language_and_theme_are_switched_and_remembered(page: webdriver.Chrome) -> None:
    def shown() -> tuple[Any, Any, str]:
        root = at(page, "html")
        return root.get_attribute("lang"), root.get_attribute("data-theme"), at(page, "h1").text

    assert shown() == ("en", "light", "OCR evaluation")
    at(page, "#language").click()
    at(page, "#theme").click()
    assert shown() == ("ko", "dark", "OCR 평가")
    assert at(page, "#open-help").get_attribute("aria-label") == "단축키 (?)"
    page.refresh()
    assert shown() == ("ko", "dark", "OCR 평가")


def test_help_lists_the_keys(page: webdriver.Chrome) -> None:
    press(page, "?")
    assert at(page, "#help").is_displayed() and "n" in texts(page, "#help kbd")
    press(page, "l", Keys.ESCAPE)
    assert not at(page, "#help").is_displayed() and at(page, "#view-overview").is_displayed()


def test_hostile_texts_are_shown_as_they_are(page: webdriver.Chrome) -> None:
    open_page(page, 3, 8)
    assert texts(page, "#page-title") == [HOSTILE_PAGE]
    assert texts(page, "#errors .text:first-of-type") == list(HOSTILE)
    press(page, "t", "n")
    assert texts(page, "#details dd")[0] == HOSTILE[0]
    press(page, "w")
    until(page, "document.querySelectorAll('#cards li').length === 5")
    assert len(page.find_elements(By.CSS_SELECTOR, "img[src=x]")) == 0


def test_a_page_that_failed_says_why(page: webdriver.Chrome) -> None:
    open_page(page, 2, 4)
    assert HOSTILE[0] in texts(page, "#page-failure")[0]
    assert boxes(page, ".missed") == 4


def test_why_a_page_failed_is_said_in_korean(page: webdriver.Chrome) -> None:
    """All that the evaluator says of pages; a reason that the report does not know stays as it is."""
    label = Page("page", "", 30, 40, ())
    reasons = []
    for jpg in (None, b"", cv2.imencode(".jpg", np.zeros((20, 10), np.uint8))[1].tobytes()):
        with pytest.raises(UnreadablePage) as raised:
            decode_page(jpg, label)
        reasons.append(str(raised.value))
    press(page, "k")
    told = [page.execute_script("return settings.reason(arguments[0])", reason) for reason in reasons]
    assert told == [
        "샘플에 페이지 이미지(.jpg)가 없습니다",
        "페이지 이미지를 디코딩할 수 없습니다",
        "페이지 이미지는 10x20 픽셀인데 라벨에는 30x40로 되어 있습니다",
    ]
    assert page.execute_script("return settings.reason(arguments[0])", HOSTILE[0]) == HOSTILE[0]


def test_a_page_whose_file_is_gone_is_said_to_be(browser: webdriver.Chrome, tmp_path: Path) -> None:
    index = write_made_report(tmp_path)
    (tmp_path / "html" / "pages" / "00000.js").unlink()
    browser.get(f"{index.as_uri()}#view=page&page=0")
    until(browser, "document.querySelector('#page-failure').textContent.includes('00000.js cannot be loaded')")
    browser.get_log("browser")  # type: ignore[no-untyped-call]  # where Chromium has said it, too


@pytest.mark.parametrize("view", ["overview", "list", "page", "words"])
def test_nothing_is_wider_than_a_phone(page: webdriver.Chrome, view: str) -> None:
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    page.execute_script("app.go({view: arguments[0]})", view)
    assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
