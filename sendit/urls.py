"""All addresses of the node; the pages themselves are in web/."""

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [path("", include("web.urls"))]
