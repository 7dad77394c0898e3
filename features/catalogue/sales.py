"""What we did: sales effort, speed of response, and where the account stands in its cycles."""

from __future__ import annotations

from features.algebra import Count, Distinct, Gap, Latest, Ratio, Recency, Waiting, where
from features.catalogue.declare import Subject, count, decayed, distinct, feature, recency
from features.feature import Feature

OUTBOUND = Subject("outbound", "outbound touches", "我方主动接触", where(direction="outbound"), "sales attempts")
ATTEMPTS = Subject(
    "attempts", "calls, meetings and sales e-mails", "销售电话、会面与邮件",
    where(direction="outbound", channel=("Outbound Sales", "Email"), touch_type=("call", "meeting", "chat", "email_reply")),
    "sales attempts",
)  # fmt: skip

_KINDS = {
    "new": ("new business", "新业务"),
    "expansion": ("expansion", "增购"),
    "renewal": ("renewal", "续约"),
}


def _stage_features(kind: str) -> tuple[Feature, ...]:
    en, zh = _KINDS[kind]
    this = where(kind=kind)
    concept = f"stage of {en}"
    return (
        feature(
            f"{kind}_stage", concept, "stage", "stage", Latest("stages", "stage", this),
            meaning=(f"current stage of the furthest {en} cycle", f"{zh}周期的当前阶段"),
            saying=(f"{en} is at stage {{n}}", f"{zh}处于“{{n}}”阶段"),
            absent=(f"no {en} cycle yet", f"尚无{zh}周期"),
        ),
        feature(
            f"{kind}_stage_days", concept, "stage", "days", Recency("stages", this),
            meaning=(f"days the {en} cycle has been in its stage", f"{zh}周期在当前阶段的天数"),
            saying=(f"{{n}} days in the current {en} stage", f"{zh}当前阶段已 {{n}} 天"),
            absent=(f"no {en} cycle yet", f"尚无{zh}周期"),
        ),
        feature(
            f"{kind}_cycle_days", concept, "stage", "days", Recency("stages", this, at="opened_at"),
            meaning=(f"days since the {en} cycle opened", f"{zh}周期开启以来的天数"),
            saying=(f"the {en} cycle opened {{n}} days ago", f"{zh}周期已开启 {{n}} 天"),
            absent=(f"no {en} cycle yet", f"尚无{zh}周期"),
        ),
        feature(
            f"{kind}_regressions", concept, "stage", "steps back", Latest("stages", "regressions", this),
            meaning=(f"times the {en} cycle went back to an earlier stage", f"{zh}周期退回较早阶段的次数"),
            saying=(f"the {en} cycle went back {{n}} times", f"{zh}周期退回 {{n}} 次"),
            absent=(f"no {en} cycle yet", f"尚无{zh}周期"),
        ),
        feature(
            f"{kind}_cycles", f"earlier {en} cycles", "history", "cycles", Latest("stages", "cycles", this),
            meaning=(f"{en} cycles so far", f"{zh}周期总数"),
            saying=(f"{{n}} {en} cycles so far", f"{zh}周期共 {{n}} 个"),
            absent=(f"no {en} cycle yet", f"尚无{zh}周期"),
        ),
    )  # fmt: skip


SALES = (
    recency(OUTBOUND, "sales effort"),
    *(count(OUTBOUND, days, "sales effort") for days in (7, 30, 90, 180, 365)),
    *(decayed(OUTBOUND, half_life, "sales effort") for half_life in (7, 30)),
    *(count(ATTEMPTS, days, "sales effort") for days in (7, 30)),
    feature(
        "response_hours_90d", "speed of response", "sales effort", "hours", Gap(where(direction="inbound"), 90),
        meaning=("mean hours to the first answer to inbound touches of 90 days", "90 天内对客户主动接触首次回应的平均小时数"),
        saying=("inbound touches were answered in {n} hours on average", "客户主动接触平均 {n} 小时内得到回应"),
        absent=("no inbound touch of 90 days was answered", "90 天内没有回应过客户主动接触"),
    ),
    feature(
        "request_response_hours_365d", "speed of response", "sales effort", "hours",
        Gap(where(touch_type=("demo_request", "form_fill", "chat", "quote_returned"))),
        meaning=("mean hours to the first answer to requests of a year", "一年内对客户请求首次回应的平均小时数"),
        saying=("requests were answered in {n} hours on average", "客户请求平均 {n} 小时内得到回应"),
        absent=("no request was answered in a year", "一年内没有回应过客户请求"),
    ),
    feature(
        "request_waiting_days", "speed of response", "sales effort", "days",
        Waiting(where(touch_type=("demo_request", "form_fill", "chat", "quote_returned")), 90),
        meaning=("days the oldest request of 90 days has waited for an answer", "90 天内最久未回应请求的等待天数"),
        saying=("a request has waited for {n} days", "有客户请求已等待 {n} 天"),
        absent=("no request is waiting for an answer", "没有等待回应的请求"),
    ),
    distinct(
        "our_people_90d", "our people involved", "sales effort", "touches", "actor_id",
        ("colleagues of ours involved", "我方参与人员"), days=90,
    ),
    feature(
        "outbound_per_inbound_90d", "balance of effort", "sales effort", "ratio",
        Ratio(Count("touches", OUTBOUND.where, 90), Count("touches", where(direction="inbound"), 90)),
        meaning=("outbound touches for each inbound touch in 90 days", "90 天内我方与客户主动接触之比"),
        saying=("{n} outbound touches for each inbound touch", "每次客户主动接触对应 {n} 次我方接触"),
        absent=("no inbound touches in 90 days", "90 天内没有客户主动接触"),
    ),
    feature(
        "outbound_per_person_90d", "balance of effort", "sales effort", "touches",
        Ratio(
            Count("touches", OUTBOUND.where, 90),
            Distinct("touches", "contact_id", OUTBOUND.where, 90),
        ),
        meaning=("outbound touches for each person approached in 90 days", "90 天内每位被联系人的我方接触次数"),
        saying=("{n} outbound touches for each person approached", "每位被联系人接触 {n} 次"),
        absent=("no known person approached in 90 days", "90 天内没有联系已知联系人"),
    ),
    *(declared for kind in _KINDS for declared in _stage_features(kind)),
)  # fmt: skip
