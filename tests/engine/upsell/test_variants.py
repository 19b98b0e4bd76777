"""What is no better version: other packs, fits, colours, seasons and accessories, class by class.

Each row is a cart's item and a dearer one of its family or category, as shops write them.
"""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine.eligibility import Eligibility
from mersalg.engine.model import Model
from mersalg.engine.source_sections import AttributesSection, CatalogueSection
from mersalg.engine.texts import Extra, upsell_text
from mersalg.engine.upsell.gains import (
    Comparison,
    amounts_of,
    compare_attributes,
    compare_texts,
)
from mersalg.engine.upsell.packs import pack_in_name
from mersalg.engine.upsell.recommender import BaseItem, Upgrade, Upsell
from mersalg.engine.upsell.traits import Kind, traits_of
from tests.support.models import TinyItem, tiny_model


def _pair(base: str, better: str, category: str, family: str, **attributes: str) -> Model:
    """Two items at 100 and 130; an attribute is written `base > better`."""
    items = [
        TinyItem(
            item_id,
            name,
            price,
            category,
            family=family,
            attributes={key: value.split(" > ")[place] for key, value in attributes.items()},
            n_orders=100,
        )
        for place, (item_id, name, price) in enumerate(
            (("base", base, "100.00"), ("better", better, "130.00"))
        )
    ]
    return tiny_model(items=items, rules=(), repelled={})


def _offered(model: Model) -> list[Upgrade]:
    cart = np.array([0], dtype=np.int32)
    eligibility = Eligibility.prepare(model).beside(cart, ())
    return Upsell.prepare(model).best([BaseItem(0, 1, 10_000)], eligibility, 5)


@pytest.mark.parametrize(
    ("base", "better", "category"),
    [
        # Sizes of garments, shoes, nappies, rings, helmets.
        ("Merino tee S", "Merino tee XL", "Tops"),
        ("Merino tee S", "Merino tee Pro XL", "Tops"),
        ("T-skjorte str. M", "T-skjorte str. 3XL", "Klær"),
        ("Ullgenser, L", "Ullgenser, XXL", "Gensere"),
        ("Regnjakke (M)", "Regnjakke (XL)", "Jakker"),
        ("Joggesko Air 42", "Joggesko Air 45", "Sko"),
        ("Running shoes 9.5", "Running shoes 11", "Footwear"),
        ("Sneakers EU 42", "Sneakers EU 44", "Shoes"),
        ("Boots UK 8", "Boots UK 10", "Shoes"),
        ("Dress size 12", "Dress size 16", "Dresses"),
        ("Hoodie Small", "Hoodie 2X", "Clothing"),
        ("Socks One Size", "Socks Plus Size", "Socks"),
        ("Barnesko 24", "Barnesko 30", "Barn"),
        ("Ring size N", "Ring size T", "Jewellery"),
        ("Cap 7 1/4", "Cap 7 5/8", "Hats"),
        ("Wetsuit MT", "Wetsuit LT", "Surf"),
        ("Shirt 15.5 / 34", "Shirt 17 / 36", "Shirts"),
        ("Road tyre 700x25c", "Road tyre 700x32c", "Tyres"),
        ("Snowboard 152", "Snowboard 158W", "Snowboards"),
        ("Calendar 2024", "Calendar 2025", "Office"),
        ("Dress UK10", "Dress UK14", "Dresses"),
        ("Christmas candle", "Easter candle", "Candles"),
        ("Julekuler røde", "Påskekuler røde", "Pynt"),
        # Shades of what comes in many.
        ("Lipstick 04 Nude", "Lipstick 12 Ruby", "Makeup"),
        ("Yarn col. 12", "Yarn col. 45", "Yarn"),
        ("Paint RAL 7016 1 l", "Paint RAL 9010 1 l", "Paint"),
        ("Curtain, beige", "Curtain, forest green", "Home"),
        ("Phone case midnight blue", "Phone case rose gold", "Cases"),
        ("Lampe hvit", "Lampe messing", "Lamper"),
        ("T-shirt heather grey", "T-shirt bordeaux", "Tops"),
        # All that the thing says, and an accessory of it.
        ("Laptop Air 13", "Laptop sleeve Air 13", "Laptops"),
        ("Laptop Air 13", "Docking station Laptop Air 13", "Laptops"),
        ("Watch 9", "Watch 9 strap leather", "Watches"),
        ("PlayStation 5", "PlayStation 5 controller", "Consoles"),
        ("Grill Fjord", "Grillbørste Fjord", "Griller"),
        ("Cello Stratos", "Cellostrenger Stratos", "Musikk"),
        ("Bosch drill", "Bosch drill bits", "Tools"),
        ("Guitar", "Guitar stand", "Music"),
        ("TV 55", "TV-benk 55", "TV"),
        ("Electric toothbrush 2", "Brush heads 4-pack for Electric toothbrush 2", "Dental"),
        # Seats and bedding.
        ("Car seat 0-13 kg", "Car seat 9-18 kg", "Baby"),
        ("Laken lin 140x200", "Laken lin 180x200", "Soverom"),
        ("Dyne 140 x 200 cm", "Dyne 150 x 210 cm", "Soverom"),
        # Accessories of another model, and such whose name ends in what they are like.
        ("Phone 13 case", "Phone 14 case", "Phones"),
        ("Etui Galaxy S23", "Etui Galaxy S24", "Tilbehør"),
        ("Jet printer 100", "Jet ink cartridge XL multipack", "Printers"),
        ("Smart TV 43", "TV wall mount motorised", "TV"),
        ("Phone 64", "Phone leather case deluxe", "Phones"),
        # Packs.
        ("Laundry pods 2 x 40 pods", "Laundry pods 60 pods", "Laundry"),
        ("Toilet paper 3x8 rolls", "Toilet paper 16 rolls", "Paper"),
        ("Jeans W32 L34", "Jeans W36 L34", "Jeans"),
        ("Jeans 32/34", "Jeans 36/34", "Bukser"),
        ("Body 62/68", "Body 74/80", "Barn"),
        ("BH 75C", "BH 80D", "Undertøy"),
        ("Sykkelhjelm 52-56 cm", "Sykkelhjelm 58-62 cm", "Hjelmer"),
        ("Ski 170 cm", "Ski 184 cm", "Ski"),
        ("Hansker small", "Hansker large", "Hansker"),
        ("Wool socks 36-40", "Wool socks 41-45", "Socks"),
        ("Gold ring size 52", "Gold ring size 60", "Rings"),
        ("Bleier str 3 (6-10 kg) 50 stk", "Bleier str 5 (11-16 kg) 50 stk", "Bleier"),
        # Wheels and tyres.
        ("Terrengsykkel 27.5\" M", "Terrengsykkel 29\" M", "Sykler"),
        ("Mountain bike 27.5er", "Mountain bike 29er", "Bikes"),
        ("Bike tube 26 inch", "Bike tube 29 inch", "Wheels"),
        ("Sykkeldekk 26 tommer", "Sykkeldekk 29 tommer", "Dekk"),
        ("Tyre 205/55 R16", "Tyre 225/45 R17", "Tyres"),
        ("Alufelg R16", "Alufelg R18", "Felger"),
        # Colours.
        ("Mug white", "Mug copper", "Mugs"),
        ("Mug, light blue", "Mug, navy", "Mugs"),
        ("Kopp rød", "Kopp mørkegrønn", "Kopper"),
        ("Sofa Oslo (grå)", "Sofa Oslo (lyseblå)", "Sofaer"),
        ("Phone 64 GB black", "Phone 64 GB red", "Phones"),
        # Seasons.
        ("Vinterdekk 205/55 R16", "Sommerdekk 205/55 R16", "Dekk"),
        ("Winter jacket", "Summer jacket", "Jackets"),
        ("Rain jacket SS24", "Rain jacket AW24", "Jackets"),
        ("Home jersey 2023/24", "Home jersey 2024/25", "Jerseys"),
        # Accessories filed with machines, or with each other.
        ("Milk jug for Bella espresso machine", "Tamper for Bella espresso machine", "Machines"),
        ("Descaler for Bella espresso machine", "Bella espresso machine", "Machines"),
        ("Bella espresso machine", "Tamper for Bella espresso machine", "Machines"),
        ("Melkemugge til Bella espressomaskin", "Stempel til Bella espressomaskin", "Maskiner"),
        ("Støvsuger Miele C3", "Støvsugerposer til Miele C3", "Støvsugere"),
        ("iPhone 15 screen protector", "iPhone 15 case", "Phones"),
        ("iPhone 15 case", "iPhone 15", "Phones"),
        ("Deksel iPhone 15", "iPhone 15", "Mobil"),
        ("Camera X100", "Camera X100 bag", "Cameras"),
        ("Gassgrill Fjord", "Trekk til Gassgrill Fjord", "Griller"),
        ("Drill Storm", "Drill Storm battery", "Drills"),
        ("Fizz soda machine", "Fizz CO2 cylinder", "Soda machines"),
        ("Bella cleaning brush", "Bella portafilter", "Machines"),
        ("Sykkel Fjell sete", "Sykkel Fjell pedaler", "Sykler"),
        # Less, or more at no lower unit price.
        ("Apple juice 250ml (Pack of 6)", "Apple juice 1 l", "Juice"),
        ("Flour carton 32 - 1 kg pkgs.", "Flour sack 16 kg", "Flour"),
        ("Ground coffee 500 g", "Ground coffee 250 g", "Coffee beans"),
        ("Kjøttdeig 3 stk x 400 g", "Kjøttdeig 1 kg", "Kjøtt"),
        ("Tea 10 boxes x 20 bags", "Tea 100 bags", "Tea"),
        ("Vann 12 flasker à 0,5 l", "Vann 6 flasker à 0,75 l", "Vann"),
        ("Juice 1 l", "Juice 1,1 l", "Juice"),
        ("Gum (12 packs of 10)", "Gum 100 pcs", "Gum"),
        ("Gloves 5 boxes, 100 gloves each", "Gloves 400 pcs", "Supplies"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("family", ["", "things"])
def test_what_is_not_offered(base: str, better: str, category: str, family: str) -> None:
    assert _offered(_pair(base, better, category, family)) == []


@pytest.mark.parametrize(
    ("base", "better", "category"),
    [
        ("USB-C cable 1 m", "USB-C cable 3 m", "Cables"),
        ("Charger 20 W", "Charger 65 W", "Phones"),
        ("Bella espresso machine", "Bella Pro espresso machine", "Machines"),
        ("Merino tee M", "Merino tee Premium M", "Tops"),
        ("Latte S", "Latte L", "Coffee"),
        ("Latte, small", "Latte, large", "Coffee"),
        ("Pizza Margherita medium", "Pizza Margherita stor", "Pizza"),
        ("Filter for Bella espresso machine", "Premium filter for Bella espresso machine", "Parts"),
        ("Lader USB-C 20W", "Lader USB-C 65W", "Ladere"),
        ("Drill Storm 12V", "Drill Storm 18V with battery", "Drills"),
        ("Shampoo for dry hair", "Luxury shampoo for dry hair", "Hair"),
        ("Plain gold ring 9ct", "Plain gold ring 18ct", "Rings"),
        ("USB stick 32G", "USB stick 64G", "Storage"),
        ("Ryggsekk Fjell 20 l", "Ryggsekk Fjell 30 l", "Sekker"),
        ("Ibux 200 mg 20 tabletter", "Ibux 400 mg 20 tabletter", "Apotek"),
        ("Kopipapir A4 80 g 500 ark", "Kopipapir A4 90 g 500 ark", "Papir"),
        ("Whisky Red Label 70 cl", "Whisky Black Label 70 cl", "Whisky"),
        ("TV Nord 50", "TV Nord 55", "TV"),
        ("Elsykkel Fjord 400 Wh", "Elsykkel Fjord 500 Wh", "Sykler"),
        ("Latte", "Latte grande", "Coffee"),
        ("Wine 2019", "Wine Reserve 2019", "Wine"),
        ("Filter coffee", "Filter coffee premium", "Coffee"),
        ("Microfoam milk jug", "Premium milk jug", "Jugs"),
        ("City bike 3 gears", "City bike 7 gears", "Bikes"),
    ],
)
@pytest.mark.parametrize("family", ["", "things"])
def test_what_may_be_better_is_offered_by_its_name(
    base: str, better: str, category: str, family: str
) -> None:
    (upgrade,) = _offered(_pair(base, better, category, family))
    assert upgrade.step == "tier"
    extra = Extra(upgrade.price_difference_minor, "NOK", names=(better, base))
    text = upsell_text(upgrade.comparison.gains, upgrade.comparison.differs, extra, "en")
    # A comma of a name is not one of the sentence.
    en, nb = ("“{}”", "«{}»") if "," in base + better else ("{}", "{}")
    assert text == f"{en.format(better)} instead of {en.format(base)} for 30 NOK more"
    swap = f"{nb.format(better)} i stedet for {nb.format(base)}"
    assert upsell_text((), (), extra, "nb") == f"{swap} for 30\u00a0kr mer"


def test_sizes_of_unknown_things_are_versions_where_each_has_its_price() -> None:
    def offered(*prices: str) -> int:
        items = [
            TinyItem(size, f"Hawaiian {size}", price, "classic", n_orders=100)
            for size, price in zip("SML", prices, strict=True)
        ]
        return len(_offered(tiny_model(items=items, rules=(), repelled={})))

    assert offered("100.00", "130.00", "160.00") == 2
    assert offered("100.00", "100.00", "130.00") == 0


def test_a_version_without_names_is_another_one() -> None:
    assert upsell_text((), (), Extra(3_000, "NOK"), "en") == "Another version for 30 NOK more"
    assert upsell_text((), (), Extra(3_000, "NOK"), "nb") == "En annen utgave for 30\u00a0kr mer"


@pytest.mark.parametrize(
    ("attribute", "change", "kind", "sense"),
    [
        ("size", "S > XL", "worn", "fit"),
        ("size", "S > 2XL", "", "fit"),
        ("size", "38 > 42", "worn", "fit"),
        ("størrelse", "42 > 44,5", "", "fit"),
        ("str", "98/104 > 122/128", "worn", "fit"),
        ("size", "EU 42 > EU 44", "", "fit"),
        ("size", "small > large", "worn", "fit"),
        ("option1", "M > L", "worn", "fit"),
        ("skostr", "42 > 44", "", "fit"),
        ("eu_size", "42 > 44", "", "fit"),
        ("collection", "SS24 > AW24", "", "fit"),
        ("colours", "white > navy", "", "taste"),
        ("model_year", "2023 > 2024", "", "gain"),
        ("pack_size", "6 pk > 12 pk", "", "gain"),
        ("screen_size", "50 > 55", "", "gain"),
        ("wheel_size", "27.5 > 29", "worn", "fit"),
        ("hjul", '26" > 29"', "", "fit"),
        ("season", "SS24 > AW24", "", "fit"),
        ("sesong", "sommer > vinter", "", "fit"),
        ("type", "summer > winter", "worn", "fit"),
        ("colour", "white > copper", "", "taste"),
        ("farge", "hvit > mørkegrønn", "", "taste"),
        ("variant", "black > light blue", "", "taste"),
        ("scent", "rose > cedar", "", "taste"),
        ("språk", "norsk > engelsk", "", "taste"),
        # Gains as before: what has a unit, what is drunk, what the screen measures.
        ("size", "small > large", "eaten", "gain"),
        ("size", "S > L", "eaten", "gain"),
        ("size", "0,3 l > 0,5 l", "", "gain"),
        ("size_m2", "18 > 42", "", "gain"),
        ("size", "50 > 55", "screen", "gain"),
        ("storage_gb", "64 > 256", "", "gain"),
        ("colours", "12 > 24", "", "gain"),
        ("farger", "12 > 24", "", "gain"),
        ("finish", "oak > walnut", "", "differs"),
    ],
)
def test_attributes_of_fit_and_taste(attribute: str, change: str, kind: Kind, sense: str) -> None:
    before, after = change.split(" > ")
    compared = compare_attributes([(attribute, before, after)], kind=kind)
    found = {
        "gain": compared.gains,
        "differs": compared.differs,
        "fit": compared.fit,
        "taste": compared.taste,
        "loss": compared.losses,
    }
    assert [name for name, changes in found.items() if changes] == [sense]


_NUMBERS = st.from_regex("[0-9]{1,17}", fullmatch=True)


@given(
    attribute=st.sampled_from(
        ["storage_gb", "size_m2", "seats", "weight_g", "kept", "cut", "size", "colour", "pack_size"]
    ),
    before=_NUMBERS,
    after=_NUMBERS,
    kind=st.sampled_from(get_args(Kind)),
)
def test_numbers_of_amounts_are_gains_and_losses_by_size(
    attribute: str, before: str, after: str, kind: Kind
) -> None:
    settings = AttributesSection(
        lower_is_better=("weight_g",), attribute_levels={"cut": ("2", "1")}
    )
    model = _pair("Thing", "Thing", "Things", "t", **{attribute: f"{before} > {after}"})
    amounts = amounts_of(model.catalogue, settings)
    lower = attribute == "weight_g"
    expected = attribute in ("storage_gb", "size_m2", "seats", "kept") or lower
    assert [each for _, each in amounts] == [lower] * expected
    if expected:
        compared = compare_attributes([(attribute, before, after)], settings, kind)
        larger = int(after) - int(before)
        assert bool(compared.gains) == (larger < 0 if lower else larger > 0)
        assert bool(compared.losses) == (larger > 0 if lower else larger < 0)
        assert compared == Comparison(compared.gains, compared.losses)


def test_levels_of_the_shop_are_its_own_word() -> None:
    levels = AttributesSection(attribute_levels={"size": ("S", "M", "L")})
    compared = compare_attributes([("size", "S", "L")], levels, kind="worn")
    assert len(compared.gains) == 1
    assert compared.fit == ()


def test_another_size_is_not_offered_whatever_it_gains() -> None:
    model = _pair(
        "Tee Basic", "Tee Merino", "Tops", "tee", size="S > XL", warmth="low; dry > low; dry; warm"
    )
    assert _offered(model) == []
    model = _pair(
        "Tee Basic", "Tee Merino", "Tops", "tee", size="S > S", warmth="low; dry > low; dry; warm"
    )
    assert len(_offered(model)) == 1


def test_another_colour_is_offered_where_something_is_gained() -> None:
    gaining = _pair("Phone", "Phone", "Phones", "p", colour="black > white", storage_gb="64 > 128")
    assert len(_offered(gaining)) == 1
    assert _offered(_pair("Phone", "Phone", "Phones", "p", colour="black > white")) == []


@pytest.mark.parametrize(
    ("before", "after", "decimal", "verdict"),
    [
        ("1.500 W", "850 W", ",", "loss"),
        ("1.500 W", "2.000 W", ",", "gain"),
        ("1.500 W", "1,5 kW", ",", "same"),
        ("0.500 l", "0,5 l", ",", "same"),
        ("1,500 kg", "2 kg", ",", "gain"),
        ("12.5 W", "15 W", ",", "gain"),
        ("1.234.567", "1234567", ",", "same"),
        ("1.500,5 W", "1500 W", ",", "loss"),
        ("1.500 W", "850 W", ".", "gain"),
        ("1,500 W", "850 W", ".", "differs"),
    ],
)
def test_numbers_follow_the_decimal_mark_of_the_catalogue(
    before: str, after: str, decimal: str, verdict: str
) -> None:
    attributes = AttributesSection.model_validate({"decimals": {"power": decimal}})
    assert compare_texts(before, after, decimal=attributes.decimals["power"]) == verdict
    compared = compare_attributes([("power", before, after)], attributes)
    assert (compared == Comparison()) == (verdict == "same")


def test_serving_knows_the_decimal_mark_of_the_catalogue() -> None:
    source = {"path": "catalogue.csv", "attributes": ["power", "weight"]}
    section = CatalogueSection.model_validate({**source, "decimal": ","})
    assert section.reading.decimals == {"power": ",", "weight": ","}
    section = CatalogueSection.model_validate({**source, "decimal": {"power": ","}})
    assert section.reading.decimals == {"power": ","}


@pytest.mark.parametrize(
    ("name", "dimension", "amount"),
    [
        ("Toilet paper 3x8 rolls", "pieces", 24),
        ("AA batteries 2x10 pack", "pieces", 20),
        ("Wipes 12 x 60 wipes", "pieces", 720),
        # Packs of packs, in any order.
        ("Apple juice 250ml (Pack of 6)", "volume", 1500),
        ("Pack of 6 Apple juice 250 ml", "volume", 1500),
        ("Apple juice pack of 12, 250ml", "volume", 3000),
        ("Kjøttdeig 3 stk x 400 g", "mass", 1200),
        ("Tea 10 boxes x 30 bags", "pieces", 300),
        ("2 pk x 12 stk", "pieces", 24),
        ("Gum (12 packs of 10)", "pieces", 120),
        ("4 boxes of 25", "pieces", 100),
        ("Pack of 4 x 25", "pieces", 100),
        ("2 sets of 6", "pieces", 12),
        ("Pack of 2 boxes, 20 bags each", "pieces", 40),
        ("6 poser à 20 stk", "pieces", 120),
        ("32 - 1 kg pkgs.", "mass", 32_000),
        ("24 - 250 g pkgs.", "mass", 6000),
        ("16 - 2 kg boxes", "mass", 32_000),
        ("Cola 6-pack 330 ml", "volume", 1980),
        ("Cola 330ml boks 24-pack", "volume", 7920),
        ("4pk Solo 1,5 l", "volume", 6000),
        ("0,5 l x 6", "volume", 3000),
        ("500g x3", "mass", 1500),
        ("12 flasker à 75 cl", "volume", 9000),
        ("Brus 24 bokser 0,33 l", "volume", 7920),
        ("6 bottles of 750 ml", "volume", 4500),
        ("2 x (6 x 330 ml)", "volume", 3960),
        ("4 x 6 x 330 ml", "volume", 7920),
        ("Case of 24 x 330ml", "volume", 7920),
        ("Eske med 24 stk à 50 g", "mass", 1200),
        ("Water 500ml (case of 12)", "volume", 6000),
        ("Kaffekapsler 10 kapsler (pack of 6)", "pieces", 60),
        ("12-pack 12 stk", "pieces", 12),
        ("Granola 3 x 1.500 g", "mass", 4500),
        # Beside what is no amount.
        ("Paracet 500 mg 20 tabletter", "pieces", 20),
        ("Paracetamol 1 g 100 tablets", "pieces", 100),
        ("Vitamin D 10 µg 90 kapsler", "pieces", 90),
        ("Kopipapir A4 80 g 500 ark", "pieces", 500),
        ("Copy paper 80 g/m2 500 sheets", "pieces", 500),
        ("Bleier 8-16 kg 40 stk", "pieces", 40),
        ("Nappies size 3 (6-10 kg) 52 pack", "pieces", 52),
        ("Søppelsekk 100 l 20 stk", "pieces", 20),
        ("Hostesaft 20 mg/ml 100 ml", "volume", 100),
        ("Pepsi Max 1,5 l", "volume", 1500),
        ("Dark chocolate 64% 100 g", "mass", 100),
        ("Dog food 12 kg", "mass", 12_000),
    ],
)
def test_packs_in_names(name: str, dimension: str, amount: float) -> None:
    pack = pack_in_name(name)
    assert pack is not None
    assert (pack.dimension, pack.amount) == (dimension, pytest.approx(amount))


@pytest.mark.parametrize(
    "name",
    [
        *("Plain gold ring 9ct", "Gullring 14 karat", "Diamond ring 0.5 ct", "Smykke 18k"),
        *("USB stick 64G", "SanDisk Ultra 128G", "iPhone 15 256G", "Minnepenn 32g", "DDR4 16G"),
        *("Ibux 400 mg", "Vitamin C 500mg", "D-vitamin 10 µg", "Melatonin 3 mg"),
        *("Bilstol 9-18 kg", "Car seat 15-36 kg", "Dog harness 10-25 kg", "Flea drops 4 kg+"),
        *("Trampoline max 150 kg", "Hylle tåler 50 kg", "Strap up to 20 kg", "Tabletter til 10 kg"),
        *("A4 paper 80 g", "Fotopapir 200g", "Copy paper 90gsm", "Konvolutt 100 g"),
        *("Vaskemaskin 8 kg", "Ryggsekk 40 l", "Backpack 25L", "Kettle 1.7 l", "Gryte 5 l"),
        *("Kettlebell 16 kg", "Kjøleskap 300 l", "Stekepanne 2 l", "Drikkeflaske 0,7 l"),
        *("Dunjakke 80 g", "Duvet 800 g", "Galaxy S21 5G"),
    ],
)  # fmt: skip
def test_numbers_in_names_that_are_no_amount(name: str) -> None:
    assert pack_in_name(name) is None


def test_the_category_tells_what_a_number_means() -> None:
    assert pack_in_name("Ultra 64g") is not None
    assert pack_in_name("Ultra 64g", "Memory cards") is None
    assert traits_of("Nordic L", "Jackets").sizes == "l"
    assert traits_of("Nordic L", "Coffee").sizes == ""
