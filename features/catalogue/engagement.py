"""What the account did: recency, frequency, decay, trend, channels, content, products and the people engaged."""

from __future__ import annotations

from features.algebra import Count, Decayed, Distinct, Ratio, Recency, TopShare, where
from features.catalogue.declare import Subject, count, decayed, distinct, feature, recency

INBOUND = Subject("inbound", "inbound touches", "客户主动接触", where(direction="inbound"))
SIGNAL = Subject("signals", "signals from elsewhere", "外部信号", where(direction="signal"))
INTERNAL = Subject("internal", "internal tasks", "内部任务", where(direction="internal"))
TOUCHES = Subject("touches", "touches of any kind", "各类接触")

_DEPTHS = {
    "tofu": ("awareness content", "认知阶段内容"),
    "mofu": ("consideration content", "考虑阶段内容"),
    "bofu": ("decision content", "决策阶段内容"),
}
_DIRECTIONS = {
    "inbound": ("inbound touches on", "客户主动接触："),
    "outbound": ("outbound touches on", "我方主动接触："),
    "internal": ("internal tasks on", "内部任务："),
}
DEPTHS = tuple(
    Subject(
        f"{direction}_{depth}",
        f"{phrase_en} {depth_en}",
        f"{phrase_zh}{depth_zh}",
        where(direction=direction, content_stage=depth),
    )
    for direction, (phrase_en, phrase_zh) in _DIRECTIONS.items()
    for depth, (depth_en, depth_zh) in _DEPTHS.items()
)

_CHANNELS = (
    Subject("paid_search", "paid search touches", "付费搜索接触", where(channel="Paid Search"), "paid channels"),
    Subject(
        "paid_social", "paid social touches", "付费社交接触", where(channel=("Paid Social", "Paid Video")), "paid channels"
    ),
    Subject(
        "display", "display touches", "展示广告接触", where(channel=("Display", "Cross-network", "Paid Other")), "paid channels"
    ),
    Subject("organic", "organic search touches", "自然搜索接触", where(channel="Organic Search"), "organic channels"),
    Subject(
        "organic_social", "organic social touches", "自然社交接触",
        where(channel=("Organic Social", "Organic Video")), "organic channels",
    ),
    Subject("direct", "direct visits", "直接访问", where(channel="Direct"), "organic channels"),
    Subject("email", "e-mail touches", "电子邮件接触", where(channel="Email")),
    Subject("events", "event touches", "活动接触", where(channel="Event"), "events and webinars"),
    Subject("webinars", "webinar touches", "网络研讨会接触", where(channel="Webinar"), "events and webinars"),
    Subject(
        "partners", "partner and referral touches", "伙伴与推荐接触",
        where(channel=("Partner", "Referral", "Affiliates")),
    ),
    Subject(
        "third_party", "review site and syndication touches", "评测网站与内容分发接触",
        where(channel=("Review Site", "Content Syndication")),
    ),
)  # fmt: skip

_PEOPLE = ("people engaged", "参与的联系人")
_MAKERS = Subject(
    "decision_makers", "inbound touches of decision makers", "决策者主动接触",
    where(direction="inbound", role="decision_maker"), "decision makers",
)  # fmt: skip
_CHAMPIONS = Subject(
    "champions",
    "inbound touches of champions",
    "支持者主动接触",
    where(direction="inbound", role="champion"),
    "champions",
)

_GROUP = (
    *(
        distinct(
            f"people_engaged_{days}d", "people engaged", "buying group", "touches", "contact_id", _PEOPLE,
            where=where(direction="inbound"), days=days,
        )
        for days in (30, 90, 365)
    ),
    *(
        distinct(
            f"roles_engaged_{days}d", "roles covered", "buying group", "touches", "role", ("roles engaged", "参与的角色"),
            where=where(direction="inbound"), days=days, unit="roles",
        )
        for days in (90, 365)
    ),
    distinct("people_known", "people known", "buying group", "members", "contact_id", ("people known", "已知联系人")),
    distinct("roles_known", "people known", "buying group", "members", "role", ("roles known", "已知角色"), unit="roles"),
    feature(
        "decision_makers_known", "decision makers", "buying group", "people",
        Count("members", where(role="decision_maker")),
        meaning=("decision makers known at the account", "已知决策者人数"),
        saying=("{n} decision makers known", "已知决策者 {n} 人"),
        absent=("no decision maker known", "尚无已知决策者"),
    ),
    count(_MAKERS, 30, "buying group"),
    count(_MAKERS, 90, "buying group"),
    recency(_MAKERS, "buying group"),
    count(_CHAMPIONS, 90, "buying group"),
    feature(
        "top_person_share_90d", "concentration on one person", "buying group", "share",
        TopShare("touches", "contact_id", where(direction="inbound"), 90),
        meaning=("share of the most active person in inbound touches in 90 days", "90 天内最活跃联系人占客户主动接触的比例"),
        saying=("one person makes {n} of the inbound touches", "单一联系人占客户主动接触的 {n}"),
        absent=("no inbound touches by a known person in 90 days", "90 天内没有已知联系人的主动接触"),
    ),
)  # fmt: skip

_TREND = (
    feature(
        "inbound_velocity_7_30", "trend of inbound touches", "trend", "ratio",
        Ratio(Count("touches", INBOUND.where, 7), Count("touches", INBOUND.where, 30), 30 / 7),
        meaning=("pace of inbound touches in 7 days over that of 30 days", "近 7 天与 30 天客户主动接触速度之比"),
        saying=("inbound touches come at {n} times the pace of the month", "客户主动接触速度为当月的 {n} 倍"),
        absent=("no inbound touches this month", "本月没有客户主动接触"),
    ),
    feature(
        "inbound_velocity_30_90", "trend of inbound touches", "trend", "ratio",
        Ratio(Count("touches", INBOUND.where, 30), Count("touches", INBOUND.where, 90), 3.0),
        meaning=("pace of inbound touches in 30 days over that of 90 days", "近 30 天与 90 天客户主动接触速度之比"),
        saying=("inbound touches come at {n} times the pace of the quarter", "客户主动接触速度为本季度的 {n} 倍"),
        absent=("no inbound touches this quarter", "本季度没有客户主动接触"),
    ),
    feature(
        "inbound_decay_ratio_7_30", "trend of inbound touches", "trend", "ratio",
        Ratio(Decayed(7, INBOUND.where), Decayed(30, INBOUND.where)),
        meaning=("inbound weight with a 7-day half-life over that with 30 days", "7 天与 30 天半衰期客户主动接触权重之比"),
        saying=("the share of fresh inbound touches is {n}", "新近客户主动接触占比 {n}"),
        absent=("no inbound touches in a year", "一年内没有客户主动接触"),
    ),
    feature(
        "touches_velocity_7_30", "trend of all touches", "trend", "ratio",
        Ratio(Count("touches", TOUCHES.where, 7), Count("touches", TOUCHES.where, 30), 30 / 7),
        meaning=("pace of all touches in 7 days over that of 30 days", "近 7 天与 30 天全部接触速度之比"),
        saying=("touches come at {n} times the pace of the month", "接触速度为当月的 {n} 倍"),
        absent=("no touches this month", "本月没有接触"),
    ),
    feature(
        "touches_decay_ratio_7_30", "trend of all touches", "trend", "ratio",
        Ratio(Decayed(7, TOUCHES.where), Decayed(30, TOUCHES.where)),
        meaning=("weight of all touches with a 7-day half-life over that with 30 days", "7 天与 30 天半衰期全部接触权重之比"),
        saying=("the share of fresh touches is {n}", "新近接触占比 {n}"),
        absent=("no touches in a year", "一年内没有接触"),
    ),
    feature(
        "bofu_share_90d", "decision content", "content depth", "share",
        Ratio(Count("touches", where(direction="inbound", content_stage="bofu"), 90), Count("touches", INBOUND.where, 90)),
        meaning=("share of decision content in inbound touches in 90 days", "90 天内决策阶段内容占客户主动接触的比例"),
        saying=("{n} of the inbound touches were on decision content", "决策阶段内容占客户主动接触的 {n}"),
        absent=("no inbound touches in 90 days", "90 天内没有客户主动接触"),
    ),
)  # fmt: skip

_VARIETY = (
    distinct(
        "channels_90d", "channel variety", "channel mix", "touches", "channel", ("channels used", "使用的渠道"),
        days=90, unit="channels",
    ),
    feature(
        "top_channel_share_90d", "channel variety", "channel mix", "share", TopShare("touches", "channel", days=90),
        meaning=("share of the most used channel in 90 days", "90 天内最常用渠道的占比"),
        saying=("one channel carries {n} of the touches", "单一渠道占接触的 {n}"),
        absent=("no touches in 90 days", "90 天内没有接触"),
    ),
    distinct(
        "products_90d", "products looked at", "product interest", "touches", "product", ("products looked at", "关注的产品"),
        where=where(direction="inbound"), days=90, unit="products",
    ),
    feature(
        "top_product_share_180d", "products looked at", "product interest", "share",
        TopShare("touches", "product", INBOUND.where, 180),
        meaning=("share of the product most looked at in 180 days", "180 天内最受关注产品的占比"),
        saying=("one product takes {n} of the interest", "单一产品占关注度的 {n}"),
        absent=("no product looked at in 180 days", "180 天内没有关注任何产品"),
    ),
    distinct(
        "contents_90d", "content variety", "content depth", "touches", "content", ("content assets used", "使用的内容素材"),
        where=where(direction="inbound"), days=90, unit="assets",
    ),
    feature(
        "content_per_person_90d", "content variety", "content depth", "assets",
        Ratio(
            Distinct("touches", "content", INBOUND.where, 90), Distinct("touches", "contact_id", INBOUND.where, 90)
        ),
        meaning=("content assets per person engaged in 90 days", "90 天内人均使用的内容素材"),
        saying=("{n} content assets per person engaged", "人均使用 {n} 份内容素材"),
        absent=("no known person engaged in 90 days", "90 天内没有已知联系人参与"),
    ),
    feature(
        "first_party_days_since", "digital visits", "recency", "days",
        Recency("touches", where(touch_type=("page_view", "pricing_view", "content_download", "form_fill"))),
        meaning=("days since the latest visit, download or form", "距最近一次访问、下载或表单的天数"),
        saying=("latest visit, download or form {n} days ago", "最近一次访问、下载或表单在 {n} 天前"),
        absent=("no visit, download or form in a year", "一年内没有访问、下载或表单"),
    ),
)  # fmt: skip

ENGAGEMENT = (
    recency(INBOUND),
    recency(TOUCHES),
    recency(SIGNAL),
    recency(INTERNAL),
    *(count(INBOUND, days, "frequency") for days in (7, 30, 90, 180, 365)),
    *(count(TOUCHES, days, "frequency") for days in (7, 30, 90, 180, 365)),
    *(count(INTERNAL, days, "frequency") for days in (7, 30, 365)),
    count(SIGNAL, 90, "frequency"),
    *(decayed(INBOUND, half_life) for half_life in (7, 14, 30, 90)),
    *(decayed(TOUCHES, half_life) for half_life in (7, 14, 30, 90)),
    *_TREND,
    *(count(subject, 90, "channel mix") for subject in _CHANNELS),
    *(count(subject, days, "content depth") for subject in DEPTHS for days in (30, 365)),
    *(decayed(subject, 14, "content depth") for subject in DEPTHS),
    *(recency(subject, "content depth") for subject in DEPTHS),
    *_VARIETY,
    *_GROUP,
)
