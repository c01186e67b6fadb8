"""What a person sees who opens the page of runs in a browser, and where the links lead."""

import json
import sys

from playwright.sync_api import sync_playwright

given = json.loads(sys.argv[1])
told = {}
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=given["chromium"], args=["--no-sandbox"])
    page = browser.new_page()
    page.set_default_timeout(20_000)
    complaints = told["complaints"] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)

    page.goto(given["url"])
    page.get_by_role("link", name=given["failed"], exact=True).wait_for()
    told["title"] = page.title()
    rows = page.get_by_role("row")
    told["runs"] = {
        cells[0]: cells[1] for row in rows.all()[1:] if (cells := row.get_by_role("cell").all_inner_texts())
    }
    chooser = page.get_by_label("namespace")
    page.set_viewport_size({"width": 390, "height": 800})
    told["phone"] = page.evaluate("document.documentElement.scrollWidth")
    page.set_viewport_size({"width": 1280, "height": 800})
    told["namespaces"] = chooser.get_by_role("option").all_inner_texts()

    page.get_by_role("link", name=given["failed"], exact=True).click()
    page.get_by_role("heading", name=given["failed"]).wait_for()
    told["heading"] = page.get_by_role("heading", name=given["failed"]).inner_text()
    step = page.get_by_role("row").filter(has=page.get_by_role("cell", name="square", exact=True))
    told["step"] = step.get_by_role("cell").all_inner_texts()
    told["picture"] = page.get_by_role("img").evaluate("one => one.complete && one.naturalWidth > 100")
    step.get_by_role("link", name="log").click()
    page.wait_for_url("**/log")
    told["log"] = page.inner_text("body")
    page.go_back()
    page.get_by_role("link", name="all runs").click()

    page.get_by_role("link", name=given["looped"], exact=True).click()
    loop = page.get_by_role("button", name="for-loop")
    loop.wait_for()
    told["folded"] = [rows.count(), loop.get_attribute("aria-expanded")]
    loop.focus()
    page.keyboard.press("Enter")
    page.get_by_text("item 35: told").wait_for()
    told["opened"] = [rows.count(), page.evaluate("document.activeElement.textContent")]
    told["values"] = page.get_by_role("row").filter(has_text="item 35").get_by_role("cell").all_inner_texts()
    page.emulate_media(color_scheme="dark")
    told["dark"] = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("link", name="all runs").click()

    page.get_by_label("namespace").select_option(given["other"])
    page.get_by_role("link", name=given["elsewhere"], exact=True).wait_for()
    told["address"] = page.url
    told["there"] = page.get_by_role("link").all_inner_texts()
    page.reload()
    page.get_by_role("link", name=given["elsewhere"], exact=True).wait_for()
    page.goto(f"{given['url']}/#/runs/details/nothing")
    page.get_by_text("not found").wait_for()
    told["gone"] = page.inner_text("p")
    browser.close()
print("RESULT " + json.dumps(told))
