"""The vocabulary of touch types: what kinds of interaction there are, and what each says by default.

A sender's own content stage and direction win; these fill what was not said. An agreement may add types or change these
in ``[touch_types.NAME]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class TouchType:
    """One kind of interaction.

    Parameters
    ----------
    name : str
        Lower snake case, singular.
    content_stage : str or None
        Depth of the content unless the sender says otherwise: tofu, mofu, bofu; None where there is no content.
    direction : str
        Who acted unless the sender says otherwise: inbound, outbound, internal, signal.
    plural : str
        English plural, lower snake case; features are named for it and people read it with spaces.
    zh : str
        What people read in Chinese.
    """

    name: str
    content_stage: str | None
    direction: str
    plural: str
    zh: str


_VOCABULARY = (
    TouchType("page_view", "tofu", "inbound", "page_views", "页面浏览"),
    TouchType("pricing_view", "bofu", "inbound", "pricing_views", "价格页浏览"),
    TouchType("content_download", "mofu", "inbound", "content_downloads", "资料下载"),
    TouchType("form_fill", "mofu", "inbound", "form_fills", "表单提交"),
    TouchType("webinar_registered", "mofu", "inbound", "webinar_registrations", "网络研讨会报名"),
    TouchType("webinar_attended", "mofu", "inbound", "webinars_attended", "网络研讨会参会"),
    TouchType("event_attended", "mofu", "inbound", "events_attended", "线下活动参加"),
    TouchType("email_click", "tofu", "inbound", "email_clicks", "邮件点击"),
    TouchType("email_reply", "mofu", "inbound", "email_replies", "邮件回复"),
    TouchType("ad_click", "tofu", "inbound", "ad_clicks", "广告点击"),
    TouchType("ad_view", "tofu", "outbound", "ad_views", "广告曝光"),
    TouchType("chat", "mofu", "inbound", "chats", "在线咨询"),
    TouchType("call", "mofu", "outbound", "calls", "电话沟通"),
    TouchType("meeting", "bofu", "outbound", "meetings", "会议"),
    TouchType("demo_request", "bofu", "inbound", "demo_requests", "演示申请"),
    TouchType("trial_start", "bofu", "inbound", "trials_started", "试用开通"),
    TouchType("product_use", "bofu", "inbound", "product_uses", "产品使用"),
    TouchType("review_visit", "mofu", "signal", "review_visits", "测评网站访问"),
    TouchType("quote_sent", "bofu", "outbound", "quotes_sent", "报价发出"),
    TouchType("quote_returned", "bofu", "inbound", "quotes_returned", "报价退回"),
    TouchType("quote_accepted", "bofu", "inbound", "quotes_accepted", "报价接受"),
    TouchType("quote_declined", "bofu", "inbound", "quotes_declined", "报价拒绝"),
    TouchType("quote_withdrawn", "bofu", "outbound", "quotes_withdrawn", "报价撤回"),
    TouchType("ticket_opened", None, "inbound", "tickets_opened", "服务工单创建"),
    TouchType("ticket_closed", None, "outbound", "tickets_closed", "服务工单关闭"),
    TouchType("survey", None, "inbound", "surveys_answered", "问卷回复"),
    TouchType("task_scheduled", None, "internal", "tasks_scheduled", "任务安排"),
    TouchType("task_completed", None, "internal", "tasks_completed", "任务完成"),
    TouchType("assessment", "bofu", "internal", "assessments", "评估审核"),
    TouchType("referral", "mofu", "inbound", "referrals", "客户推荐"),
    TouchType("news", "tofu", "signal", "news_items", "企业动态"),
)

TOUCH_TYPES: Mapping[str, TouchType] = MappingProxyType({touch_type.name: touch_type for touch_type in _VOCABULARY})
"""The built-in touch types by name."""
