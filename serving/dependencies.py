"""What routes ask for: the parts of the running service, by type."""

from __future__ import annotations

from typing import Annotated, TypedDict

from fastapi import Depends, Header, Request

from serving.account_attribution import AccountAttribution
from serving.attribution import Attributions
from serving.champion import Champions
from serving.intake import Intake
from serving.keys import ApiKey, KeyRing
from serving.language import Language, preferred
from serving.pages.site import Site
from serving.profile import Profiles
from serving.service import ScoreService
from serving.settings import Settings


class State(TypedDict):
    """Parts of the running service, made at its start and ended with it."""

    settings: Settings
    keys: KeyRing
    champions: Champions
    intake: Intake
    scores: ScoreService
    profiles: Profiles
    attributed: AccountAttribution
    attributions: Attributions
    site: Site


def _settings(request: Request) -> Settings:
    found: Settings = request.state.settings
    return found


def _champions(request: Request) -> Champions:
    found: Champions = request.state.champions
    return found


def _intake(request: Request) -> Intake:
    found: Intake = request.state.intake
    return found


def _scores(request: Request) -> ScoreService:
    found: ScoreService = request.state.scores
    return found


def _profiles(request: Request) -> Profiles:
    found: Profiles = request.state.profiles
    return found


def _attributed(request: Request) -> AccountAttribution:
    found: AccountAttribution = request.state.attributed
    return found


def _attributions(request: Request) -> Attributions:
    found: Attributions = request.state.attributions
    return found


def _caller(request: Request) -> ApiKey:
    found: ApiKey = request.state.caller
    return found


def _request_id(request: Request) -> str:
    found: str = request.state.request_id
    return found


def _language(accept_language: Annotated[str, Header(description="Language of reasons: en, zh")] = "en") -> Language:
    return preferred(accept_language)


TheSettings = Annotated[Settings, Depends(_settings)]
TheChampions = Annotated[Champions, Depends(_champions)]
TheIntake = Annotated[Intake, Depends(_intake)]
TheScores = Annotated[ScoreService, Depends(_scores)]
TheProfiles = Annotated[Profiles, Depends(_profiles)]
TheAccountAttribution = Annotated[AccountAttribution, Depends(_attributed)]
TheAttributions = Annotated[Attributions, Depends(_attributions)]
Caller = Annotated[ApiKey, Depends(_caller)]
RequestId = Annotated[str, Depends(_request_id)]
Tongue = Annotated[Language, Depends(_language)]
