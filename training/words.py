"""The words that exports of shops write into cells, in the languages of their headers."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc


def as_words(texts: pa.Array) -> pa.Array:
    """Return words as the tables below write them: `wc-on_hold`, `On hold` are `on hold`."""
    words = pc.utf8_trim(pc.utf8_lower(texts), " \t\n\r\u00a0.!")
    words = pc.replace_substring_regex(words, r"(\pL)[\s_-]+", r"\1 ")
    return pc.replace_substring_regex(words, r"^(wc |https?://schema\.org/)", "")


def as_word(text: str) -> str:
    """Return one word as `as_words` does."""
    return as_words(pa.array([text], pa.large_string()))[0].as_py()


NOBODY = frozenset(
    {
        *("0", "0.0", "-1", "-", "--", "?", "nan", "null", "none", "nil", "na", "n/a", "#n/a"),
        *("undefined", "(not set)", "not set", "(none)", "(blank)", "false", "nat", "<na>"),
        *("guest", "guest checkout", "guest customer", "guest user", "(guest)", "anonymous"),
        *("anonym", "gjest", "gjestekunde", "ukjent", "ukjent kunde", "unknown", "ingen"),
        *("unknown customer", "walk in", "walk in customer", "no customer", "kontantkunde"),
        *("gäst", "gæst", "gast", "invité", "okänd", "ukendt", "unbekannt", "inconnu"),
        *("cash customer", "cash sale", "kontantsalg", "00000000-0000-0000-0000-000000000000"),
    }
)
"""What stands where there is no customer."""

RETURNED = frozenset(
    {
        *("refund", "return", "returns", "refunds", "credit", "credit note", "credit memo"),
        *("creditmemo", "reversal", "chargeback", "shop order refund", "order refund", "rma"),
        *("retur", "returer", "refusjon", "kreditnota", "kreditering", "tilbakebetaling"),
        *("återbetalning", "refundering", "retoure", "gutschrift", "erstattung", "rückgabe"),
        *("retour", "avoir", "remboursement"),
        *("sales return", "customer return", "out refund", "return order", "refund line"),
    }
)
"""What a row says that is itself a return."""

UNDONE = frozenset(
    {
        *("cancelled", "canceled", "cancel", "void", "voided", "draft", "auto draft", "test"),
        *("checkout draft", "failed", "refunded", "returned", "declined", "rejected", "expired"),
        *("abandoned", "trash", "deleted", "quotation", "quote", "denied", "reversed", "error"),
        *("payment failed", "payment error", "unpaid", "pending", "pending payment", "closed"),
        *("kansellert", "avbestilt", "annullert", "kladd", "utkast", "mislykket", "feilet"),
        *("refundert", "returnert", "avvist", "slettet", "ubetalt", "avbrutt", "tilbud"),
        *("avbruten", "annullerad", "makulerad", "misslyckad", "återbetald", "obetald"),
        *("annulleret", "afbrudt", "refunderet", "returneret", "kladde", "storniert", "entwurf"),
        *("abgebrochen", "fehlgeschlagen", "abgelehnt", "erstattet", "unbezahlt", "angebot"),
        *("annulé", "annulée", "remboursé", "remboursée", "échoué", "refusé", "impayé", "devis"),
        *("brouillon", "erreur de paiement"),
    }
)
"""What is said of an order that was no sale."""

YES = frozenset(
    {
        *("true", "t", "yes", "y", "ja", "j", "on", "x", "✓", "✔", "☑", "sann", "sant"),
        *("in stock", "instock", "available", "in store", "limited availability", "limited"),
        *("limited stock", "limitedavailability", "onlineonly", "online only", "low stock"),
        *("instoreonly", "in store only", "few left", "available for order", "in stock now"),
        *("på lager", "tilgjengelig", "få igjen", "lav beholdning", "få på lager", "på nettlager"),
        *("active", "aktiv", "enabled", "enable", "published", "publisert", "visible", "synlig"),
        *("publish", "live", "for sale", "til salgs", "catalog, search", "catalog", "search"),
        *("i lager", "auf lager", "verfügbar", "lieferbar", "en stock", "disponible", "oui"),
        *("actif", "activé", "tillgänglig", "tilgængelig"),
        *("lagervare", "available now", "finnes på lager", "shop and search results", "shop only"),
    }
)
NO = frozenset(
    {
        *("false", "f", "no", "n", "nei", "off", "usann", "usant", "out of stock", "outofstock"),
        *("sold out", "soldout", "unavailable", "not available", "discontinued", "not in stock"),
        *("backorder", "back order", "onbackorder", "on backorder", "available on backorder"),
        *(
            "preorder",
            "pre order",
            "presale",
            "pre sale",
            "reserved",
            "made to order",
            "available later",
        ),
        *("nej", "nein", "non", "slut", "slut i lager", "udsolgt", "ausverkauft", "épuisé"),
        *("nicht auf lager", "nicht verfügbar", "nicht lieferbar", "inactif", "désactivé"),
        *("rupture de stock", "hors stock", "indisponible"),
        *("utsolgt", "ikke på lager", "tomt", "tom", "midlertidig utsolgt", "utgått", "utgår"),
        *("bestillingsvare", "ikke tilgjengelig", "forhåndsbestilling", "restordre", "kommer"),
        *("inactive", "inaktiv", "disabled", "disable", "unpublished", "upublisert", "hidden"),
        *("skjult", "draft", "kladd", "utkast", "archived", "arkivert", "deleted", "slettet"),
        *("not visible individually", "not visible", "private", "privat", "pending", "trash"),
    }
)
"""In stock or active, and not: what has to be waited for is not in stock."""
