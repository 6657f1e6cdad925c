"""All addresses of the node; calls are in api/, pages in web/."""

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [path("api/", include("api.urls")), path("", include("web.urls"))]
