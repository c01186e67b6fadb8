"""Kinds over HTTP in the Kubernetes API conventions, and the reconcilers behind them; any kind, no particular one."""

from typing import TYPE_CHECKING

from libs.resources.conditions import condition, is_true, with_condition
from libs.resources.controller import Controller
from libs.resources.kinds import Admission, Column, Kind, Object, Right, Scale, Subresource
from libs.resources.listing import Page
from libs.resources.plan import Ensure, Plan, Remove, carry_out
from libs.resources.queue import WorkQueue
from libs.resources.reconcile import (
    Context,
    Key,
    Owned,
    Reconciler,
    Requeue,
    by_controller,
    by_label,
    key_of,
    owner_reference,
)
from libs.resources.resources import Resources
from libs.resources.selectors import Selectors, labels_text, parse_labels, selectors

if TYPE_CHECKING:
    from libs.resources.http import routes, unknown_route

__all__ = [
    "Admission",
    "Column",
    "Context",
    "Controller",
    "Ensure",
    "Key",
    "Kind",
    "Object",
    "Owned",
    "Page",
    "Plan",
    "Reconciler",
    "Remove",
    "Requeue",
    "Resources",
    "Right",
    "Scale",
    "Selectors",
    "Subresource",
    "WorkQueue",
    "by_controller",
    "by_label",
    "carry_out",
    "condition",
    "is_true",
    "key_of",
    "labels_text",
    "owner_reference",
    "parse_labels",
    "routes",
    "selectors",
    "unknown_route",
    "with_condition",
]


def __getattr__(name: str) -> object:
    """The HTTP half is imported when first asked for: reconcilers and pure code need no web framework."""
    if name in ("routes", "unknown_route"):
        from libs.resources import http

        return getattr(http, name)
    raise AttributeError(name)
