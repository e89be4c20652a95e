"""What tests look for on the page: the state of its panels, ink on its canvases, texts."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

PANELS = """() => [...document.querySelectorAll('.panel')].map((box) => ({
  id: Number(box.dataset.panel),
  title: box.querySelector('h3').textContent,
  state: box.dataset.state,
  series: Number(box.dataset.series ?? 0),
  note: box.querySelector('.note').textContent,
  told: box.querySelector('.told').textContent,
  text: box.querySelector('.body').innerText,
  ink: Math.min(...[...box.querySelectorAll('.body canvas')].map((canvas) => {
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    let coloured = 0;
    for (let i = 0; i < pixels.length; i += 4) {
      const [red, green, blue, alpha] = pixels.subarray(i, i + 4);
      coloured += alpha > 100 && Math.max(red, green, blue) - Math.min(red, green, blue) > 40;
    }
    return coloured;
  }), 9999),
}))"""


def panels(page: Page) -> dict[int, dict[str, Any]]:
    """Return what each panel shows, by id; `ink` counts the coloured pixels of its poorest canvas: words are grey."""
    page.locator(".panel").first.wait_for()
    page.locator(".panel[data-state=loading]").first.wait_for(state="detached")
    return {panel["id"]: panel for panel in page.evaluate(PANELS)}


def stat_texts(page: Page, panel: int) -> list[str]:
    """Return the big numbers of a panel."""
    return page.locator(f"[data-panel='{panel}'] .big").all_inner_texts()
