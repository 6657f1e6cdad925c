"""What calls are asked with: the fields of the body, and the reason for the record."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from main.restoring import LONGEST_REASON

MOST = 100
_NO_REASON = "Say why; it goes into the history. A token can have a standing reason instead."


class _Name(serializers.CharField):
    """A pseudonym or a UID."""

    def __init__(self, **more: Any) -> None:
        super().__init__(max_length=64, **more)


class _Names(serializers.ListField):
    """1 to 100 of them."""

    def __init__(self, **more: Any) -> None:
        super().__init__(child=_Name(), min_length=1, max_length=MOST, **more)


class Asked(serializers.Serializer[Any]):
    """What every call has: a reason, or that of the token."""

    reason = serializers.CharField(required=False, max_length=LONGEST_REASON, allow_blank=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Put the standing reason of the token in the place of a missing one."""
        attrs["reason"] = attrs.get("reason") or self.context["standing"]
        if not attrs["reason"]:
            raise serializers.ValidationError({"reason": [_NO_REASON]})
        return attrs


class Patient(Asked):
    """One patient, by the released PatientID."""

    anonymous_patient_id = _Name()


class Patients(Asked):
    """Several patients."""

    anonymous_patient_ids = _Names()


class Study(Asked):
    """One study, by its released UID."""

    study_instance_uid = _Name()


class Studies(Asked):
    """Several studies."""

    study_instance_uids = _Names()


class OneSeries(Asked):
    """One series, by its released UID."""

    series_instance_uid = _Name()


class SeveralSeries(Asked):
    """Several series."""

    series_instance_uids = _Names()
