"""The calls: each is asked, looked up and recorded in one step, and answered in the shape that its clients know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api import asked, told
from api.errors import NotKnown
from api.tokens import ByToken, MayRestore, NotTooOften
from main.clients import source
from main.models import ApiToken
from main.revealing import Told, Use, reveal

# Series of one study that are told of at once.
MOST_SERIES = 1000


class Reveal(APIView):
    """Tells who is behind one released name; `field` of the body holds it."""

    http_method_names = ["post"]
    authentication_classes = [ByToken]
    permission_classes = [MayRestore]
    throttle_classes = [NotTooOften]
    level: str
    body: type[asked.Asked]
    field: str
    shape: Callable[[Told], dict[str, Any]]

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """Mark the view as one that asks for a token itself: the lock of the pages leaves it alone."""
        view = super().as_view(**initkwargs)
        view.asks_for_token = True  # type: ignore[attr-defined]  # functions take attributes
        return view

    def post(self, request: Request) -> Response:
        """Answer with what is behind the name, or 404."""
        use, name = self.asked(request)
        found = reveal(self.level, [name], use)
        if not found:
            raise NotKnown
        return Response(type(self).shape(found[name][0]))

    def asked(self, request: Request) -> tuple[Use, Any]:
        """Return what is recorded, and what is asked for."""
        token = cast(ApiToken, request.auth)  # `MayRestore` has seen to that
        body = self.body(data=request.data, context={"standing": token.reason})
        body.is_valid(raise_exception=True)
        by = f"token {token.name} from {source(request._request)}"
        reason = " ".join(body.validated_data["reason"].split())
        return Use(request.user.get_username(), by, reason), body.validated_data[self.field]


class WholeStudy(Reveal):
    """Tells of a study with its patient and its series."""

    level, body, field = "study", asked.Study, "study_instance_uid"

    def post(self, request: Request) -> Response:
        """Answer with all of the study, or 404."""
        use, name = self.asked(request)
        found = reveal(self.level, [name], use, MOST_SERIES)
        if not found:
            raise NotKnown
        return Response(told.whole_study(found[name]))


class OfPatient(Reveal):
    """Tells of a patient."""

    level, body, field, shape = "patient", asked.Patient, "anonymous_patient_id", staticmethod(told.patient)


class OfStudy(Reveal):
    """Tells of a study."""

    level, body, field, shape = "study", asked.Study, "study_instance_uid", staticmethod(told.study)


class OfSeries(Reveal):
    """Tells of a series."""

    level, body, field, shape = "series", asked.OneSeries, "series_instance_uid", staticmethod(told.series)


class _Batch(Reveal):
    """Tells of up to 100 at once; which of them are not known is said."""

    def post(self, request: Request) -> Response:
        """Answer in the order in which it was asked."""
        use, names = self.asked(request)
        found = reveal(self.level, names, use)
        results: Sequence[Any] = [type(self).shape(found[name][0]) for name in names if name in found]
        return Response(
            {
                "results": results,
                "total": len(results),
                "requested": len(names),
                "not_found": [name for name in names if name not in found],
            }
        )


class OfPatients(_Batch):
    """Tells of patients."""

    level, body, field, shape = "patient", asked.Patients, "anonymous_patient_ids", staticmethod(told.patient)


class OfStudies(_Batch):
    """Tells of studies."""

    level, body, field, shape = "study", asked.Studies, "study_instance_uids", staticmethod(told.study)


class OfSeveralSeries(_Batch):
    """Tells of series."""

    level, body, field, shape = "series", asked.SeveralSeries, "series_instance_uids", staticmethod(told.series)
