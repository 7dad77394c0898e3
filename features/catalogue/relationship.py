"""What lies behind us: earlier deals and revenue, and how the account is being served."""

from __future__ import annotations

from features.algebra import Cadence, Count, Gap, Mean, Ratio, Recency, Sum, Waiting, where
from features.catalogue.declare import Subject, count, feature
from features.feature import Feature

_WON = where(outcome="won")
_LOST = where(outcome="lost")
_OPEN = where(outcome="open")
_HISTORY = "earlier deals"
_REVENUE = "revenue so far"
_OPENED = Subject("tickets", "tickets opened", "新开工单", where(touch_type="ticket_opened"), "service tickets")


def _deals(name: str, outcome: str, en: str, zh: str) -> Feature:
    return feature(
        name, _HISTORY, "history", "deals", Count("deals", where(outcome=outcome)),
        meaning=(f"{en} so far", f"至今{zh}数"),
        saying=(f"{{n}} {en}", f"{zh} {{n}} 个"),
        absent=(f"no {en}", f"没有{zh}"),
    )  # fmt: skip


def _since(name: str, outcome: str, en: str, zh: str) -> Feature:
    return feature(
        name, _HISTORY, "history", "days", Recency("deals", where(outcome=outcome)),
        meaning=(f"days since the latest {en}", f"距最近一次{zh}的天数"),
        saying=(f"latest {en} {{n}} days ago", f"最近一次{zh}在 {{n}} 天前"),
        absent=(f"no {en} so far", f"至今没有{zh}"),
    )  # fmt: skip


RELATIONSHIP = (
    feature(
        "deals_total", _HISTORY, "history", "deals", Count("deals"),
        meaning=("deals so far, whatever their outcome", "至今商机总数"),
        saying=("{n} deals so far", "至今共 {n} 个商机"),
        absent=("no deal so far", "至今没有商机"),
    ),
    _deals("deals_won", "won", "deals won", "赢单"),
    _deals("deals_lost", "lost", "deals lost", "输单"),
    _deals("deals_open", "open", "open deals", "进行中的商机"),
    _since("deal_won_days_since", "won", "deal won", "赢单"),
    _since("deal_lost_days_since", "lost", "deal lost", "输单"),
    _since("deal_open_days_since", "open", "change of an open deal", "进行中商机变更"),
    feature(
        "win_rate", _HISTORY, "history", "share", Ratio(Count("deals", _WON), Count("deals", where(outcome=("won", "lost")))),
        meaning=("deals won among those decided", "已决商机中的赢单比例"),
        saying=("{n} of the decided deals were won", "已决商机赢单比例 {n}"),
        absent=("no deal decided so far", "至今没有已决商机"),
    ),
    feature(
        "revenue_won", _REVENUE, "history", "reporting currency", Sum("deals", "amount", _WON),
        meaning=("revenue won so far in the reporting currency", "至今赢单收入（报告货币）"),
        saying=("revenue won so far: {n}", "至今赢单收入：{n}"),
        absent=("no revenue so far", "至今没有收入"),
    ),
    feature(
        "revenue_won_365d", _REVENUE, "history", "reporting currency", Sum("deals", "amount", _WON, 365),
        meaning=("revenue won in 365 days in the reporting currency", "365 天内赢单收入（报告货币）"),
        saying=("revenue won in a year: {n}", "一年内赢单收入：{n}"),
        absent=("no revenue in a year", "一年内没有收入"),
    ),
    feature(
        "amount_open", "open deal amount", "history", "reporting currency", Sum("deals", "amount", _OPEN),
        meaning=("amount of the open deals in the reporting currency", "进行中商机金额（报告货币）"),
        saying=("open deals amount to {n}", "进行中商机金额：{n}"),
        absent=("no open deal with an amount", "没有带金额的进行中商机"),
    ),
    feature(
        "amount_lost_mean", "open deal amount", "history", "reporting currency", Mean("deals", "amount", _LOST),
        meaning=("mean amount of the deals lost", "输单平均金额"),
        saying=("lost deals averaged {n}", "输单平均金额：{n}"),
        absent=("no deal lost so far", "至今没有输单"),
    ),
    feature(
        "order_cadence_days", "order cadence", "history", "days", Cadence("deals", _WON),
        meaning=("median days between deals won", "赢单间隔天数的中位数"),
        saying=("orders every {n} days", "每 {n} 天下单一次"),
        absent=("fewer than two deals won", "赢单少于两次"),
    ),
    count(_OPENED, 90, "service"),
    count(_OPENED, 365, "service"),
    feature(
        "tickets_closed_share_365d", "service tickets", "service", "share",
        Ratio(Count("touches", where(touch_type="ticket_closed"), 365), Count("touches", _OPENED.where, 365)),
        meaning=("tickets closed for each ticket opened in a year", "一年内工单关闭率"),
        saying=("{n} tickets closed for each one opened", "工单关闭率 {n}"),
        absent=("no ticket in a year", "一年内没有工单"),
    ),
    feature(
        "ticket_waiting_days", "service tickets", "service", "days", Waiting(_OPENED.where),
        meaning=("age of the oldest ticket of a year without an answer", "一年内最久未回应工单的天数"),
        saying=("a ticket has waited for {n} days", "有工单已等待 {n} 天"),
        absent=("no ticket is waiting", "没有等待中的工单"),
    ),
    feature(
        "ticket_answer_hours_365d", "service tickets", "service", "hours", Gap(_OPENED.where),
        meaning=("mean hours to the first answer to tickets of a year", "一年内工单首次回应的平均小时数"),
        saying=("tickets were answered in {n} hours on average", "工单平均 {n} 小时内得到回应"),
        absent=("no ticket of a year was answered", "一年内没有工单得到回应"),
    ),
    feature(
        "satisfaction_365d", "satisfaction", "service", "points", Mean("touches", "satisfaction", days=365),
        meaning=("mean satisfaction stated in a year", "一年内平均满意度"),
        saying=("mean satisfaction {n}", "平均满意度 {n}"),
        absent=("no satisfaction stated in a year", "一年内没有满意度反馈"),
    ),
    feature(
        "nps_365d", "satisfaction", "service", "points", Mean("touches", "nps", days=365),
        meaning=("mean willingness to recommend stated in a year", "一年内平均推荐意愿"),
        saying=("mean willingness to recommend {n}", "平均推荐意愿 {n}"),
        absent=("no survey in a year", "一年内没有调查反馈"),
    ),
)  # fmt: skip
