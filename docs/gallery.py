"""Draws what docs/gallery.md shows, with the tools `plot` and `wireframe`: `python docs/gallery.py`."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "gallery"


def charts() -> dict[str, dict[str, Any]]:
    """What is drawn: a name → the parameters of `plot`."""
    sales = pd.read_csv(ROOT / "data/samples/sales.csv", parse_dates=["order_date"])
    penguins = pd.read_csv(ROOT / "data/samples/penguins.csv")
    sales["revenue_eur"] = sales["units"] * sales["unit_price"]
    sales["month"] = sales["order_date"].dt.to_period("M").dt.to_timestamp()
    months = sales.groupby("month", as_index=False)["revenue_eur"].sum()
    by_region = sales.groupby(["month", "region"], as_index=False)["units"].sum()
    grouped = penguins.dropna().groupby(["species", "sex"])["body_mass_g"]
    masses = grouped.agg(["mean", "sem"]).reset_index().rename(columns={"mean": "body_mass_g", "sem": "standard_error"})
    hours = pd.date_range("2026-03-28 18:00", periods=30, freq="h", tz="Europe/Lisbon")
    tide = [round(2 + 1.4 * math.sin(at / 12.4 * 2 * math.pi), 2) for at in range(30)]
    water = pd.DataFrame({"time": hours, "water_level_m": [None if 11 <= at < 15 else v for at, v in enumerate(tide)]})
    days = pd.date_range("2026-01-01", periods=120)
    forecast = pd.DataFrame(
        {"day": days, "temperature_celsius": [8 + at / 10 + 3 * math.sin(at / 9) for at in range(120)]}
    )
    forecast["low"] = forecast["temperature_celsius"] - 0.5 - forecast.index / 40
    forecast["high"] = forecast["temperature_celsius"] + 0.5 + forecast.index / 30
    sales["product"] = sales["category"] + ": " + sales["product"]
    products = sales.groupby("product", as_index=False)["revenue_eur"].sum().sort_values("revenue_eur", ascending=False)
    return {
        "01-bars": {"data": sales.groupby("region", as_index=False)["revenue_eur"].sum()},
        "02-lying-bars": {"data": products, "title": "Revenue by product"},
        "03-lines": {"data": by_region, "kind": "line", "title": "Units by month and region"},
        "04-error-bars": {
            "data": masses,
            "x": "species",
            "y": ["body_mass_g"],
            "error": ["standard_error"],
            "facet": "sex",
        },
        "05-band": {
            "data": forecast,
            "kind": "line",
            "x": "day",
            "y": ["temperature_celsius"],
            "error": ["low", "high"],
        },
        "06-scatter-panels": {
            "data": penguins,
            "kind": "scatter",
            "x": "bill_length_mm",
            "y": ["body_mass_g"],
            "facet": "species",
        },
        "07-histograms": {"data": penguins, "kind": "hist", "x": "flipper_length_mm", "facet": "species"},
        "08-time-with-a-gap": {"data": water, "kind": "line", "title": "Water at the pier"},
        "09-dark-lines": {"data": by_region, "kind": "line", "theme": "dark", "facet": "region"},
        "10-dark-bars": {
            "data": penguins.dropna().groupby(["island", "species"], as_index=False)["bill_depth_mm"].mean(),
            "x": "island",
            "theme": "dark",
        },
        "11-eight-lines": {
            "data": pd.DataFrame({"year": range(2015, 2026)}).assign(
                **{f"station_{n}_pct": [n * 5 + (y * (n + 3)) % 7 for y in range(11)] for n in range(1, 9)}
            ),
            "kind": "line",
            "y": [f"station_{n}_pct" for n in range(1, 9)],
        },
        "12-month-by-month": {"data": months, "kind": "bar", "title": "Revenue by month"},
    }


def screens() -> dict[str, dict[str, Any]]:
    """What is sketched: a name → the parameters of `wireframe`."""
    checkout = {
        "title": "Checkout",
        "elements": [
            {"type": "header", "text": "Shop", "items": ["Home", "Cart"]},
            {
                "type": "columns",
                "columns": [
                    {
                        "type": "form",
                        "text": "Address",
                        "fields": [
                            {"type": "input", "label": "Name"},
                            {"type": "select", "label": "Country", "options": ["Portugal", "Spain"]},
                            {"type": "checkbox", "label": "Gift wrap"},
                        ],
                    },
                    {
                        "type": "card",
                        "text": "Your order",
                        "children": [
                            {"type": "list", "items": ["2 × Tea", "1 × Mug"]},
                            {"type": "button", "text": "Pay now", "primary": True},
                        ],
                    },
                ],
            },
            {"type": "hologram", "text": "of the parcel"},
            {"type": "footer", "text": "© Shop"},
        ],
    }
    long = (
        "page with a header titled An extraordinarily long name of a company that nobody would ever be able to fit into"
        " one line, a Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft button, a table"
        " with columns Alpha, Beta, Gamma, Delta, Epsilon, Zeta, Eta, Theta"
    )
    letters = {
        "title": "日本語 и Ελληνικά",
        "elements": [
            {"type": "header", "text": "مرحبا بالعالم"},
            {"type": "button", "text": "Отправить"},
            {"type": "text", "text": "½ smile 😀, “quotes” and <b>&amp;</b>"},
            {"nav": ["Αρχική", "Επαφή"]},
        ],
    }
    return {
        "21-login": {
            "spec": "login page with a header 'Acme', email and password fields, a Remember me checkbox, "
            "a big blue Sign in button and a hologram"
        },
        "22-dashboard": {
            "spec": "Dashboard for sales with a header with logo, search and avatar, a sidebar with Overview, Orders, "
            "Customers and Settings. Three cards: Revenue, Orders, Returns. A line chart of revenue per month and a "
            "table with columns Order, Customer, Total and Status. A footer with Imprint and Privacy."
        },
        "23-messages": {
            "spec": "app screen with a header titled Messages, search bar, a list with Ana, Bruno, Carla and Duarte, "
            "tabs: Chats, Calls, Contacts",
            "size": "phone",
        },
        "24-checkout": {"spec": checkout},
        "25-settings": {
            "spec": "Settings page\n- header with logo, nav: Home, Projects, Team\n- tabs: Profile, Notifications, "
            'Billing\n- form "Profile" with name field, email field, bio text area, country dropdown, newsletter '
            "toggle\n- primary Save button and Cancel button\n- alert saying Changes are saved when you press Save",
            "size": "tablet",
        },
        "26-photos": {
            "spec": "Photo gallery with a search bar, six images and pagination, a sidebar on the right with a title "
            "called Filters, three checkboxes: Portrait, Landscape, Night and a slider for year"
        },
        "27-long-texts": {"spec": long, "size": "phone"},
        "28-letters": {"spec": letters},
        "29-article": {
            "spec": "blog article page with a breadcrumb: Home, Blog, Tides; a title 'Why the sea comes back'; a hero "
            "image of the harbour; a paragraph; a video player; a divider; comments list and a comment box; Post "
            "button; footer with newsletter input and Subscribe button"
        },
        "30-dialog": {
            "spec": "dialog titled 'Delete 3 files?' with a text 'They cannot be brought back.', Cancel button and "
            "primary Delete button that spins"
        },
    }


def main() -> None:
    plot, wireframe = _tool("plot"), _tool("wireframe")
    FOLDER.mkdir(exist_ok=True)
    for name, params in screens().items():
        image = wireframe.run(**params)["image"]
        (FOLDER / f"{name}.png").write_bytes(image.png)
        sys.stdout.write(f"{name}: {image.alt}\n")
    for name, params in charts().items():
        image = plot.run(**params)
        (FOLDER / f"{name}.png").write_bytes(image.png)
        sys.stdout.write(f"{name}: {image.alt}\n")


def _tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    if spec is None or spec.loader is None:
        raise SystemExit(f"There is no tools/{name}.py.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
