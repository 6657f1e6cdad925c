"""Addresses of the status pages. No address holds a patient's value: things are named by the node's own numbers."""

from django.urls import URLPattern, path

from web.views import access, actions, api, drops, home, images, ledger, nodes, quarantine, receiver, restore, series

urlpatterns: list[URLPattern] = [
    path("", home.home, name="home"),
    path("retry/", actions.retry, name="retry"),
    path("series/", series.series_list, name="series"),
    path("series/search/", series.search_series, name="search"),
    path("series/<int:pk>/", series.series_detail, name="series-detail"),
    path("series/<int:pk>/certificate/<int:number>.<str:form>", series.certificate, name="certificate"),
    path("series/<int:pk>/replay/", actions.replay, name="series-replay"),
    path("series/<int:pk>/complete/", actions.complete_study, name="series-complete"),
    path("series/<int:pk>/retry/", actions.retry_series, name="series-retry"),
    path("series/<int:pk>/images/<int:number>/", images.image, name="image"),
    path("drops/", drops.drops, name="drops"),
    path("drops/<int:pk>/", drops.drop, name="drop"),
    path("quarantine/", quarantine.quarantine, name="quarantine"),
    path("quarantine/<str:code>/", quarantine.quarantine_reason, name="quarantine-reason"),
    path("quarantine/<str:code>/requeue/", quarantine.requeue, name="quarantine-requeue"),
    path("quarantine/<str:code>/discard/", quarantine.discard, name="quarantine-discard"),
    path("destinations/<int:pk>/hold/", actions.destination_hold, name="destination-hold"),
    path("destinations/<int:pk>/resume/", actions.destination_resume, name="destination-resume"),
    path("destinations/<int:pk>/retry/", actions.destination_retry, name="destination-retry"),
    path("receiver/", receiver.receiver, name="receiver"),
    path("nodes/", nodes.nodes, name="nodes"),
    path("nodes/add/", nodes.node_add, name="node-add"),
    path("nodes/<int:pk>/", nodes.node, name="node"),
    path("nodes/<int:pk>/change/", nodes.node_change, name="node-change"),
    path("nodes/<int:pk>/remove/", nodes.node_remove, name="node-remove"),
    path("nodes/<int:pk>/test/", nodes.node_tried, name="node-test"),
    path("ledger/", ledger.ledger, name="ledger"),
    path("restore/", restore.restore, name="restore"),
    path("unlock/", access.unlock, name="unlock"),
    path("login/", access.login, name="login"),
    path("logout/", access.logout, name="logout"),
    path("theme/", access.theme, name="theme"),
    path("api/metrics", api.metrics, name="metrics"),
    path("api/status", api.status, name="api-status"),
    path("healthz", api.healthz, name="healthz"),
]
