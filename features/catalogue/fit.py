"""Who the account is: stated facts, where missing is a value of its own."""

from __future__ import annotations

from features.algebra import Latest, where
from features.catalogue.declare import feature
from features.feature import Feature


def _stated(field: str, en: str, zh: str, *, unit: str = "category", number: bool = False) -> Feature:
    return feature(
        field, en, "fit", unit, Latest("attributes", "number" if number else "value", where(field=field)),
        meaning=(f"{en} as last stated", f"最近登记的{zh}"),
        saying=(f"{en}: {{n}}", f"{zh}：{{n}}"),
        absent=(f"{en} not known", f"{zh}未知"),
    )  # fmt: skip


FIT = (
    _stated("industry", "industry", "行业"),
    _stated("employees", "employees", "员工人数", unit="people", number=True),
    _stated("country", "country", "国家"),
    _stated("region", "region", "地区"),
    _stated("segment", "segment", "细分市场"),
    _stated("annual_revenue", "annual revenue", "年收入", unit="currency", number=True),
    _stated("language", "language", "语言"),
    _stated("amount_requested", "amount requested", "申请金额", unit="currency", number=True),
)
