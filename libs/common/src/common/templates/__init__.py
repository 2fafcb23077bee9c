"""Prompts made on the server: a client names a template and sends inputs, never the prompt."""

from common.templates.catalogue import Templates
from common.templates.inputs import InvalidTemplate
from common.templates.template import BrokenTemplate, RenderedMessage

__all__ = ["BrokenTemplate", "InvalidTemplate", "RenderedMessage", "Templates"]
