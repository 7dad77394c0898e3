"""The whole catalogue: the built-in declarations and the users' own, checked together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

from features import algebra
from features.agreement import Agreement
from features.catalogue.engagement import ENGAGEMENT
from features.catalogue.fit import FIT
from features.catalogue.relationship import RELATIONSHIP
from features.catalogue.sales import SALES
from features.catalogue.touch_features import touch_type_decay, touch_type_features
from features.errors import AgreementError, UnknownError, nearest
from features.feature import Feature


@dataclass(frozen=True)
class Catalogue:
    """Features in a fixed order.

    Parameters
    ----------
    features : tuple of Feature
        Names are unique and expressions are valid.
    """

    features: tuple[Feature, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names in catalogue order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def _by_name(self) -> dict[str, Feature]:
        return {feature.name: feature for feature in self.features}

    def __getitem__(self, name: str) -> Feature:
        """Return the feature of that name.

        Raises
        ------
        UnknownError
            With the nearest name.
        """
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownError(f"There is no feature {name!r}.{nearest(name, self._by_name)}") from None

    def subset(self, names: Sequence[str]) -> Catalogue:
        """Return the catalogue of just these features, in this order."""
        return Catalogue(tuple(self[name] for name in names))

    def definitions(self) -> list[dict[str, object]]:
        """Return every declaration as plain JSON values, expressions included."""
        return [
            {
                **asdict_json(feature),
                "dtype": feature.dtype,
                "side": feature.side,
                "atom": type(feature.expression).__name__,
            }
            for feature in self.features
        ]

    @cached_property
    def digest(self) -> str:
        """Fingerprint of how every feature is formed, so that a change of a definition is seen."""
        formed = [[feature.name, feature.dtype, repr(feature.expression)] for feature in self.features]
        return hashlib.sha256(json.dumps(formed, sort_keys=True).encode()).hexdigest()


def catalogue(agreement: Agreement) -> Catalogue:
    """Return the built-in features followed by those the agreement adds.

    Raises
    ------
    AgreementError
        When two features share a name, or an expression can not be formed.
    """
    of_types = touch_type_features(agreement.touch_types)
    there, half_life = {feature.name for feature in of_types}, agreement.points.half_life_days
    of_points = (touch_type_decay(agreement.touch_types[name], half_life) for name in agreement.points.weights)
    features = (
        *ENGAGEMENT,
        *of_types,
        # The points may halve faster or slower than the built-in decays of the touch types.
        *(feature for feature in of_points if feature.name not in there),
        *SALES,
        *RELATIONSHIP,
        *FIT,
        *agreement.features,
    )
    seen: set[str] = set()
    for feature in features:
        if feature.name in seen:
            raise AgreementError(f"Two features are called {feature.name!r}. Give the one in [features] another name.")
        seen.add(feature.name)
        algebra.check(feature.expression, name=feature.name)
    return Catalogue(features)


def points_features(agreement: Agreement) -> dict[str, float]:
    """Return the points of the agreement by the feature that counts them: its decayed touches of a type."""
    types, half_life = agreement.touch_types, agreement.points.half_life_days
    return {touch_type_decay(types[name], half_life).name: points for name, points in agreement.points.weights.items()}


def asdict_json(feature: Feature) -> dict[str, object]:
    """Return a feature as plain JSON values."""
    plain = {key: value for key, value in vars(feature).items() if key != "expression"}
    plain |= {key: dict(plain[key]) for key in ("meaning", "saying", "absent")}
    expression = {"atom": type(feature.expression).__name__, **asdict(feature.expression)}
    return {**plain, "expression": json.loads(json.dumps(expression))}
