"""Addresses of the calls. No address holds a name: what is asked for stands in the body."""

from django.urls import URLPattern, path

from api import views

urlpatterns: list[URLPattern] = [
    path("phi-metadata/", views.WholeStudy.as_view()),
    path("phi-metadata/patient/", views.OfPatient.as_view()),
    path("phi-metadata/patient/batch/", views.OfPatients.as_view()),
    path("phi-metadata/study/", views.OfStudy.as_view()),
    path("phi-metadata/study/batch/", views.OfStudies.as_view()),
    path("phi-metadata/series/", views.OfSeries.as_view()),
    path("phi-metadata/series/batch/", views.OfSeveralSeries.as_view()),
]
