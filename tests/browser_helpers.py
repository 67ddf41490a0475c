"""What the tests in a real browser share: which browser, what it must not do, and the check for accessibility."""
import os
import shutil

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--no-first-run", "--disable-quic", "--disable-gpu"]
LOCAL = ("file:", "data:", "blob:", "about:", "http://127.0.0.1:", "ws://127.0.0.1:")


def needed(tool, what):
    """Skip a test whose tool is missing here; where tests must not be skipped, fail."""
    if not tool:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{what} is missing")


def open_tab(browser, width=1400, height=900, scheme="light"):
    """A tab, and the list that fills with its errors and its requests to other hosts."""
    tab = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    wrong = []
    tab.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("request", lambda request: None if request.url.startswith(LOCAL) else wrong.append(request.url))
    return tab, wrong


def barriers(tab, axe, within="html"):
    """What axe-core calls a serious or critical violation in a part of the page, contrast included."""
    tab.evaluate(axe)
    run = "async within => (await axe.run(within, {resultTypes: ['violations'], preload: false})).violations"
    found = tab.evaluate(run, within)
    return [f"{rule['id']}: {node['html'][:150]} {node['failureSummary'][:250]}"
            for rule in found if rule["impact"] in ("serious", "critical") for node in rule["nodes"]]
