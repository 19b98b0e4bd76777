"""Orders and catalogues as systems export them, written for tests of `mersalg init`.

The shop behind all of them is the same: 240 orders of six goods, of which three go with one other
each, some bought by the dozen.
"""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

GOODS = (
    ("1001", "Mug", "Kitchen", 99.0),
    ("1002", "Mug, large", "Kitchen", 149.0),
    ("1003", "Teapot", "Kitchen", 1249.5),
    ("1004", "Tea towel", "Textiles", 79.9),
    ("1005", "Tray", "Kitchen", 1299.0),
    ("1006", "Blåbær tea", "Food", 59.5),
)


_BEGIN = datetime.fromisoformat("2024-01-02 09:15")


@dataclass(frozen=True)
class Line:
    """One line of an order; `first` is the order's first line."""

    order: int
    first: bool
    customer: int
    moment: datetime
    sku: str
    name: str
    category: str
    price: float
    quantity: int
    total: float


def lines(*, days: int = 40) -> Iterator[Line]:
    """Lines of 240 orders from 2024-01-02 on."""
    draw = random.Random(4)
    for number in range(240):
        # Local to the shop, as in the files.
        moment = _BEGIN + number * timedelta(days=days) / 240
        moment = moment.replace(second=30 * (number % 2), microsecond=0)
        base = draw.randrange(3)
        beside = [GOODS[3 + base]] if draw.random() < 0.7 else []
        goods = [GOODS[base], *beside]
        if draw.random() < 0.2:
            goods.append(GOODS[(base + 1) % 3])
        customer = draw.randrange(60)
        order = [(*each, draw.choice((1, 1, 1, 2, 12))) for each in goods]
        total = sum(price * quantity for *_, price, quantity in order)
        for place, (sku, name, category, price, quantity) in enumerate(order):
            yield Line(
                *(7000 + number, not place, 500 + customer, moment),
                *(sku, name, category, price, quantity, total),
            )


def point(amount: float) -> str:
    return f"{amount:.2f}"


def comma(amount: float) -> str:
    """`1.249,50`."""
    return f"{amount:,.2f}".translate(str.maketrans(",.", ".,"))


def spaced(amount: float) -> str:
    """`1 249,50`, with the space that French spreadsheets write."""
    return comma(amount).replace(".", "\u202f")


@dataclass(frozen=True)
class Export:
    """Files of one shop, and what `mersalg init` must find.

    Attributes:
        orders, catalogue: a header, and the cells of each row of it.
        settings: right answers by dotted names.
        guessed: settings that must be marked as guessed, beside the shop's name.
        cancelled_every: each so-manieth order is cancelled; 0 for none.
    """

    orders: tuple[str, Callable[[Line], Sequence[Any]]]
    catalogue: tuple[str, Callable[[tuple[str, str, str, float]], Sequence[Any]]] | None = None
    separator: str = ","
    encoding: str = "utf-8"
    settings: dict[str, Any] = field(default_factory=dict)
    guessed: frozenset[str] = frozenset()
    cancelled_every: int = 0

    def sold(self) -> list[Line]:
        """Return the lines of the orders that are not cancelled."""
        every = self.cancelled_every
        return [line for line in lines() if not every or line.order % every]

    @property
    def expected(self) -> dict[str, Any]:
        """All settings but the shop's name."""
        found = {**self.settings, "tracking.count": "vouched"}
        for section, name in (("orders", "b-sales.csv"), ("catalogue", "a-products.csv")):
            if section == "orders" or self.catalogue is not None:
                found[f"{section}.path"] = name
                found[f"{section}.separator"] = self.separator
                # A byte order mark is no part of the text.
                found[f"{section}.encoding"] = self.encoding.removesuffix("-sig")
        return found

    def write(self, folder: Path) -> list[Path]:
        """Write the files; return their paths, the catalogue first."""
        paths = []
        if self.catalogue is not None:
            header, cells = self.catalogue
            paths.append(folder / "a-products.csv")
            self._write(paths[0], header, map(cells, GOODS))
        header, cells = self.orders
        paths.append(folder / "b-sales.csv")
        self._write(paths[-1], header, map(cells, lines()))
        return paths

    def _write(self, path: Path, header: str, rows: Iterator[Sequence[Any]]) -> None:
        text = io.StringIO()
        writer = csv.writer(text, delimiter=self.separator, lineterminator="\r\n")
        writer.writerow(header.split("|"))
        writer.writerows(rows)
        path.write_bytes(text.getvalue().encode(self.encoding))


def _columns(section: str, **columns: Any) -> dict[str, Any]:
    return {f"{section}.columns.{name}": column for name, column in columns.items()}


_NORWAY = {"shop.currency": "NOK", "shop.timezone": "Europe/Oslo", "shop.locale": "nb"}
_ENGLISH = {"shop.timezone": "UTC", "shop.locale": "en"}
_HABITS = frozenset({"shop.timezone", "shop.locale"})
_ALL_HABITS = _HABITS | {"shop.currency"}
_FAMILY = frozenset({"catalogue.columns.family"})


def _iso(line: Line) -> str:
    return f"{line.moment:%Y-%m-%d %H:%M:%S}"


def _once(line: Line, *cells: Any) -> list[Any]:
    """Return cells that stand in the first row of an order alone."""
    return [cell if line.first else "" for cell in cells]


EXPORTS: dict[str, Export] = {
    "norwegian spreadsheet": Export(
        (
            "Ordrenr|Ordredato|Kundenr|Varenr|Varenavn|Antall|Enhetspris|Linjesum",
            lambda x: (
                *(x.order, f"{x.moment:%d.%m.%Y}", x.customer, x.sku, x.name, x.quantity),
                *(comma(x.price), comma(x.price * x.quantity)),
            ),
        ),
        (
            "Varenr|Varenavn|Kategori|Varegruppe|Pris inkl. mva|Lagerbeholdning",
            lambda x: (x[0], x[1], "Hus", x[2], comma(x[3]), 4),
        ),
        separator=";",
        encoding="cp1252",
        settings={
            **_NORWAY,
            "shop.prices_include_tax": True,
            "orders.decimal": ",",
            "orders.date_format": "%d.%m.%Y",
            **_columns(
                "orders",
                order_id="Ordrenr",
                item_id="Varenr",
                ordered_at="Ordredato",
                customer_id="Kundenr",
                quantity="Antall",
                unit_price="Enhetspris",
                line_total="Linjesum",
            ),
            "catalogue.decimal": ",",
            **_columns(
                "catalogue",
                item_id="Varenr",
                name="Varenavn",
                category="Kategori",
                family="Varegruppe",
                price="Pris inkl. mva",
                in_stock="Lagerbeholdning",
            ),
        },
        guessed=_ALL_HABITS,
    ),
    "norwegian till": Export(
        (
            "Bong nr.|Dato|Kl|Butikk|Artikkel|Ant.|Beløp (NOK)|Totalbeløp",
            lambda x: (
                *(x.order, f"{x.moment:%d.%m.%y}", f"{x.moment:%H:%M}", "Oslo", x.name),
                *(x.quantity, comma(x.price * x.quantity), comma(x.total)),
            ),
        ),
        separator="\t",
        encoding="cp850",
        settings={
            **_NORWAY,
            "orders.decimal": ",",
            "orders.date_format": "%d.%m.%y %H:%M",
            **_columns(
                "orders",
                order_id="Bong nr.",
                item_id="Artikkel",
                ordered_at=["Dato", "Kl"],
                store_id="Butikk",
                quantity="Ant.",
                line_total="Beløp (NOK)",
            ),
        },
        guessed=_HABITS | {"orders.encoding"},
    ),
    "swedish": Export(
        (
            "Ordernummer|Beställningsdatum|Kundnummer|Artikelnummer|Antal|Pris exkl. moms",
            lambda x: (x.order, _iso(x), x.customer, x.sku, x.quantity, comma(x.price)),
        ),
        (
            "Artikelnummer|Benämning|Varugrupp|Utpris exkl moms|Inköpspris|I lager",
            lambda x: (x[0], x[1], x[2], comma(x[3]), comma(x[3] / 2), "ja"),
        ),
        separator=";",
        settings={
            "shop.currency": "SEK",
            "shop.timezone": "Europe/Stockholm",
            "shop.locale": "en",
            "shop.prices_include_tax": False,
            "orders.decimal": ",",
            **_columns(
                "orders",
                order_id="Ordernummer",
                item_id="Artikelnummer",
                quantity="Antal",
                ordered_at="Beställningsdatum",
                customer_id="Kundnummer",
                unit_price="Pris exkl. moms",
            ),
            "catalogue.decimal": ",",
            **_columns(
                "catalogue",
                item_id="Artikelnummer",
                name="Benämning",
                family="Varugrupp",
                price="Utpris exkl moms",
                cost="Inköpspris",
                in_stock="I lager",
            ),
        },
        guessed=_ALL_HABITS,
    ),
    "danish": Export(
        (
            "Ordrenummer|Købsdato|Kundenummer|Varenummer|Varenavn|Antal|Stykpris|Rabat %",
            lambda x: (
                *(x.order, f"{x.moment:%d-%m-%Y %H:%M}", x.customer, x.sku, x.name, x.quantity),
                *(f"{comma(x.price)} kr.", 10),
            ),
        ),
        separator=";",
        settings={
            "shop.currency": "DKK",
            "shop.timezone": "Europe/Copenhagen",
            "shop.locale": "en",
            "orders.decimal": ",",
            "orders.date_format": "%d-%m-%Y %H:%M",
            **_columns(
                "orders",
                order_id="Ordrenummer",
                item_id="Varenummer",
                ordered_at="Købsdato",
                customer_id="Kundenummer",
                quantity="Antal",
                unit_price="Stykpris",
            ),
        },
        guessed=_ALL_HABITS,
    ),
    "german": Export(
        (
            "Belegnr.|Belegdatum|Kunden-Nr.|Artikelnr.|Bezeichnung|Menge|Einzelpreis|Gesamtpreis"
            "|Bestellstatus",
            lambda x: (
                *(x.order, f"{x.moment:%d.%m.%Y %H:%M:%S}", x.customer, x.sku, x.name),
                *(x.quantity, comma(x.price), comma(x.price * x.quantity)),
                "versandt" if x.order % 60 else "storniert",
            ),
        ),
        (
            "Artikelnr.|Bezeichnung|Warengruppe|VK-Preis brutto|Marke",
            lambda x: (x[0], x[1], x[2], f"{comma(x[3])} €", "Haus"),
        ),
        separator=";",
        encoding="utf-8-sig",
        settings={
            "shop.currency": "EUR",
            "shop.timezone": "Europe/Berlin",
            "shop.locale": "en",
            "shop.prices_include_tax": True,
            "orders.decimal": ",",
            "orders.not": {"Bestellstatus": ["storniert"]},
            "orders.date_format": "%d.%m.%Y %H:%M:%S",
            **_columns(
                "orders",
                order_id="Belegnr.",
                item_id="Artikelnr.",
                ordered_at="Belegdatum",
                customer_id="Kunden-Nr.",
                quantity="Menge",
                unit_price="Einzelpreis",
                line_total="Gesamtpreis",
            ),
            "catalogue.decimal": ",",
            **_columns(
                "catalogue",
                item_id="Artikelnr.",
                name="Bezeichnung",
                family="Warengruppe",
                price="VK-Preis brutto",
                brand="Marke",
            ),
        },
        guessed=_HABITS | {"orders.not"},
        cancelled_every=60,
    ),
    "french": Export(
        (
            "N° de commande|Date de commande|Code client|Référence|Désignation|Quantité"
            "|Prix unitaire TTC",
            lambda x: (
                *(x.order, f"{x.moment:%d/%m/%Y %H:%M}", x.customer, x.sku, x.name, x.quantity),
                spaced(x.price),
            ),
        ),
        (
            "Référence|Désignation|Famille|Prix TTC|En stock",
            lambda x: (x[0], x[1], x[2], f"{spaced(x[3])} €", "oui" if x[3] < 1000 else "non"),
        ),
        separator=";",
        encoding="utf-16",
        settings={
            "shop.currency": "EUR",
            "shop.timezone": "Europe/Paris",
            "shop.locale": "en",
            "shop.prices_include_tax": True,
            "orders.decimal": ",",
            "orders.date_format": "%d/%m/%Y %H:%M",
            **_columns(
                "orders",
                order_id="N° de commande",
                item_id="Référence",
                quantity="Quantité",
                ordered_at="Date de commande",
                customer_id="Code client",
                unit_price="Prix unitaire TTC",
            ),
            "catalogue.decimal": ",",
            **_columns(
                "catalogue",
                item_id="Référence",
                name="Désignation",
                family="Famille",
                price="Prix TTC",
                in_stock="En stock",
            ),
        },
        guessed=_HABITS,
    ),
    "american": Export(
        (
            "Order #,Order Date,Customer Email,SKU,Qty,Price,Order Total".replace(",", "|"),
            lambda x: (
                *(x.order, f"{x.moment:%m/%d/%Y %I:%M %p}", f"c{x.customer}@example.com", x.sku),
                *(x.quantity, f"${x.price:,.2f}", f"${x.total:,.2f}"),
            ),
        ),
        (
            "SKU|Product Name|Department|Product Type|List Price|In Stock",
            lambda x: (x[0], x[1], "House", x[2], f"${x[3]:,.2f}", "Y"),
        ),
        settings={
            **_ENGLISH,
            "shop.currency": "USD",
            "orders.decimal": ".",
            "orders.date_format": "%m/%d/%Y %I:%M %p",
            **_columns(
                "orders",
                order_id="Order #",
                item_id="SKU",
                ordered_at="Order Date",
                customer_id="Customer Email",
                quantity="Qty",
                unit_price="Price",
            ),
            "catalogue.decimal": ".",
            **_columns(
                "catalogue",
                item_id="SKU",
                name="Product Name",
                category="Department",
                family="Product Type",
                price="List Price",
                in_stock="In Stock",
            ),
        },
        guessed=_ALL_HABITS,
    ),
    "shopify": Export(
        (
            "Name|Email|Financial Status|Currency|Subtotal|Total|Created at|Lineitem quantity"
            "|Lineitem name|Lineitem price|Lineitem sku|Billing Name|Cancelled at|Refunded Amount",
            lambda x: (
                *(f"#{x.order}", f"c{x.customer}@example.com"),
                *_once(x, "voided" if x.order % 100 == 0 else "paid", "NOK"),
                *_once(x, point(x.total), point(x.total)),
                *(f"{_iso(x)} +0100", x.quantity, x.name, point(x.price), x.sku),
                *_once(x, "Kari", _iso(x) if x.order % 100 == 50 else "", "0.00"),
            ),
        ),
        (
            "Handle|Title|Vendor|Type|Published|Option1 Name|Option1 Value|Variant SKU"
            "|Variant Price|Cost per item|Status",
            lambda x: (
                *(x[0], x[1], "House", x[2], "true", "Title", "Default Title", x[0]),
                *(point(x[3]), point(x[3] / 2), "active"),
            ),
        ),
        settings={
            "shop.currency": "NOK",
            "shop.timezone": "Europe/Oslo",
            "shop.locale": "en",
            "orders.decimal": ".",
            "orders.not": {"Cancelled at": ["*"], "Financial Status": ["voided"]},
            **_columns(
                "orders",
                order_id="Name",
                item_id="Lineitem sku",
                ordered_at="Created at",
                customer_id="Email",
                quantity="Lineitem quantity",
                unit_price="Lineitem price",
                currency="Currency",
                amount_refunded="Refunded Amount",
            ),
            "catalogue.decimal": ".",
            **_columns(
                "catalogue",
                item_id="Variant SKU",
                name="Title",
                family="Type",
                category="Type",
                price="Variant Price",
                brand="Vendor",
                cost="Cost per item",
                active="Status",
            ),
        },
        guessed=_HABITS | {"orders.not"},
        cancelled_every=50,
    ),
    "woocommerce": Export(
        (
            "Order Number|Order Status|Order Date|Email (Billing)|Order Total Amount|SKU|Item #"
            "|Item Name|Quantity (- Refund)|Item Cost|Discount Amount",
            lambda x: (
                *(x.order, "Cancelled" if x.order % 40 == 0 else "Completed"),
                *(f"{x.moment:%Y-%m-%d %H:%M}", f"c{x.customer}@example.com", point(x.total)),
                *(x.sku, 1, x.name, x.quantity, point(x.price), "0"),
            ),
        ),
        (
            "ID|Type|SKU|Name|Published|Tax class|In stock?|Stock|Sale price|Regular price"
            "|Categories|Upsells",
            lambda x: (
                *(int(x[0]) + 900, "simple", x[0], x[1], 1, "", 1, "", "", point(x[3]), x[2]),
                "1002" if x[0] == "1001" else "",
            ),
        ),
        settings={
            **_ENGLISH,
            "shop.currency": "USD",
            "orders.decimal": ".",
            "orders.not": {"Order Status": ["Cancelled"]},
            **_columns(
                "orders",
                order_id="Order Number",
                item_id="SKU",
                ordered_at="Order Date",
                customer_id="Email (Billing)",
                quantity="Quantity (- Refund)",
                unit_price="Item Cost",
            ),
            "catalogue.decimal": ".",
            **_columns(
                "catalogue",
                item_id="SKU",
                name="Name",
                category="Categories",
                family="Categories",
                price="Regular price",
                in_stock="In stock?",
                upgrades="Upsells",
            ),
        },
        guessed=_ALL_HABITS | _FAMILY | {"orders.not"},
        cancelled_every=40,
    ),
    "woocommerce in norwegian": Export(
        (
            "order_number|order_date|status|customer_id|order_total|order_currency|item_name"
            "|item_sku|item_quantity|item_subtotal|item_total",
            lambda x: (
                *(x.order, _iso(x), "completed", x.customer, point(x.total), "NOK", x.name, x.sku),
                *(x.quantity, point(x.price * x.quantity), point(x.price * x.quantity)),
            ),
        ),
        (
            "ID|Type|SKU|Navn|Publisert|Skatteklasse|På lager?|Salgspris|Vanlig pris|Kategorier",
            lambda x: (*("", "simple", x[0], x[1], 1, "", 1, "", comma(x[3])), x[2]),
        ),
        settings={
            **_NORWAY,
            "shop.locale": "nb",
            "orders.decimal": ".",
            **_columns(
                "orders",
                order_id="order_number",
                item_id="item_sku",
                ordered_at="order_date",
                customer_id="customer_id",
                quantity="item_quantity",
                line_total="item_subtotal",
                currency="order_currency",
            ),
            "catalogue.decimal": ",",
            **_columns(
                "catalogue",
                item_id="SKU",
                name="Navn",
                category="Kategorier",
                family="Kategorier",
                price="Vanlig pris",
                in_stock="På lager?",
            ),
        },
        guessed=_HABITS | _FAMILY,
    ),
    "magento": Export(
        (
            "item_id|order_id|increment_id|created_at|customer_email|sku|name|qty_ordered|price"
            "|price_incl_tax|row_total|row_total_incl_tax|discount_amount|order_currency_code"
            "|status",
            lambda x: (
                *(x.order * 10, x.order - 6999, f"0000{x.order}", _iso(x)),
                *(f"c{x.customer}@example.com", x.sku, x.name, f"{x.quantity}.0000"),
                *(f"{x.price / 1.25:.4f}", f"{x.price:.4f}", f"{x.price * x.quantity / 1.25:.4f}"),
                *(f"{x.price * x.quantity:.4f}", "0.0000", "EUR", "complete"),
            ),
        ),
        (
            "sku|attribute_set_code|product_type|categories|name|product_online|price|cost"
            "|is_in_stock|upsell_skus",
            lambda x: (
                *(x[0], "Default", "simple", f"Default Category/{x[2]}", x[1], 1),
                *(f"{x[3]:.4f}", "", 1, ""),
            ),
        ),
        settings={
            **_ENGLISH,
            "shop.currency": "EUR",
            "shop.prices_include_tax": True,
            "orders.decimal": ".",
            **_columns(
                "orders",
                order_id="increment_id",
                item_id="sku",
                ordered_at="created_at",
                customer_id="customer_email",
                quantity="qty_ordered",
                unit_price="price_incl_tax",
                line_total="row_total_incl_tax",
                discount="discount_amount",
                currency="order_currency_code",
            ),
            "catalogue.decimal": ".",
            **_columns(
                "catalogue",
                item_id="sku",
                name="name",
                category="categories",
                family="categories",
                price="price",
                in_stock="is_in_stock",
            ),
        },
        guessed=_HABITS | _FAMILY,
    ),
    "prestashop": Export(
        (
            "id_order|reference|date_add|id_customer|product_id|product_reference|product_name"
            "|product_quantity|unit_price_tax_incl|unit_price_tax_excl|total_price_tax_incl",
            lambda x: (
                *(x.order, f"ABC{x.order}", _iso(x), x.customer, int(x.sku) - 1000, x.sku, x.name),
                *(x.quantity, f"{x.price:.6f}", f"{x.price / 1.2:.6f}"),
                f"{x.price * x.quantity:.6f}",
            ),
        ),
        (
            "ID|Image|Nom|Référence|Catégorie|Prix (HT)|Prix (TTC)|Quantité|État",
            lambda x: (
                *(int(x[0]) - 1000, "", x[1], x[0], x[2], f"{comma(x[3] / 1.2)} €"),
                *(f"{comma(x[3])} €", 5, 1),
            ),
        ),
        separator=";",
        settings={
            "shop.currency": "EUR",
            "shop.timezone": "Europe/Paris",
            "shop.locale": "en",
            "shop.prices_include_tax": True,
            "orders.decimal": ".",
            **_columns(
                "orders",
                order_id="id_order",
                item_id="product_reference",
                ordered_at="date_add",
                customer_id="id_customer",
                quantity="product_quantity",
                unit_price="unit_price_tax_incl",
                line_total="total_price_tax_incl",
            ),
            "catalogue.decimal": ",",
            **_columns(
                "catalogue",
                item_id="Référence",
                name="Nom",
                category="Catégorie",
                family="Catégorie",
                price="Prix (TTC)",
                in_stock="Quantité",
                active="État",
            ),
        },
        guessed=_HABITS | _FAMILY,
    ),
    "odoo": Export(
        (
            "Order Reference|Order Date|Customer|Status|Order Lines/Product/Internal Reference"
            "|Order Lines/Quantity|Order Lines/Unit Price|Order Lines/Subtotal",
            lambda x: (
                *_once(x, f"S{x.order}", _iso(x), f"Customer {x.customer}", "Sales Order"),
                *(x.sku, f"{x.quantity}.0", point(x.price), point(x.price * x.quantity)),
            ),
        ),
        (
            "Internal Reference|Name|Sales Price|Cost|Product Category|Quantity On Hand",
            lambda x: (
                *(x[0], x[1], point(x[3]), point(x[3] / 2), f"All / Saleable / {x[2]}"),
                "12.0",
            ),
        ),
        settings={
            **_ENGLISH,
            "shop.currency": "USD",
            "orders.decimal": ".",
            **_columns(
                "orders",
                order_id="Order Reference",
                ordered_at="Order Date",
                item_id="Order Lines/Product/Internal Reference",
                customer_id="Customer",
                quantity="Order Lines/Quantity",
                unit_price="Order Lines/Unit Price",
                line_total="Order Lines/Subtotal",
            ),
            "catalogue.decimal": ".",
            **_columns(
                "catalogue",
                item_id="Internal Reference",
                name="Name",
                cost="Cost",
                category="Product Category",
                family="Product Category",
                price="Sales Price",
                in_stock="Quantity On Hand",
            ),
        },
        guessed=_ALL_HABITS | _FAMILY,
    ),
    "odoo, technical names": Export(
        (
            "order_id/name|order_id/date_order|order_id/partner_id|product_id/default_code"
            "|product_uom_qty|price_unit|discount|price_subtotal",
            lambda x: (
                *(f"S{x.order}", _iso(x), f"Customer {x.customer}", x.sku, f"{x.quantity}.0"),
                *(point(x.price), "10.0", point(x.price * x.quantity * 0.9)),
            ),
        ),
        (
            "default_code|name|list_price|standard_price|categ_id|qty_available",
            lambda x: (x[0], x[1], point(x[3]), point(x[3] / 2), x[2], "0.0"),  # stock not counted
        ),
        settings={
            **_ENGLISH,
            "shop.currency": "USD",
            "orders.decimal": ".",
            **_columns(
                "orders",
                order_id="order_id/name",
                item_id="product_id/default_code",
                ordered_at="order_id/date_order",
                customer_id="order_id/partner_id",
                quantity="product_uom_qty",
                unit_price="price_unit",
                discount="",
            ),
            "catalogue.decimal": ".",
            **_columns(
                "catalogue",
                item_id="default_code",
                name="name",
                category="categ_id",
                family="categ_id",
                price="list_price",
                cost="standard_price",
            ),
        },
        guessed=_ALL_HABITS | _FAMILY,
    ),
    "square": Export(
        (
            "Date|Time|Time Zone|Category|Item|Qty|Price Point Name|SKU|Gross Sales|Discounts"
            "|Net Sales|Tax|Transaction ID|Event Type|Location|Customer ID",
            lambda x: (
                *(f"{x.moment:%m/%d/%y}", f"{x.moment:%H:%M:%S}", "Eastern Time (US & Canada)"),
                *(x.category, x.name, f"{x.quantity}.0", "Regular", x.sku),
                *(f"${x.price * x.quantity:,.2f}", "$0.00", f"${x.price * x.quantity:,.2f}"),
                *("$0.00", f"T{x.order}", "Payment", "Main Street", f"C{x.customer}"),
            ),
        ),
        (
            "Token|Item Name|Variation Name|SKU|Description|Category|Price",
            lambda x: ("T" + x[0], x[1], "Regular", x[0], "", x[2], point(x[3])),
        ),
        settings={
            **_ENGLISH,
            "shop.currency": "USD",
            "orders.decimal": ".",
            "orders.date_format": "%m/%d/%y %H:%M:%S",
            **_columns(
                "orders",
                order_id="Transaction ID",
                item_id="SKU",
                ordered_at=["Date", "Time"],
                customer_id="Customer ID",
                quantity="Qty",
                line_total="Gross Sales",
                discount="Discounts",
                store_id="Location",
            ),
            "catalogue.decimal": ".",
            **_columns(
                "catalogue",
                item_id="SKU",
                name="Item Name",
                category="Category",
                family="Category",
                price="Price",
            ),
        },
        guessed=_ALL_HABITS | _FAMILY,
    ),
}
