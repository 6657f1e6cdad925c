"""Addresses of the status pages."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
