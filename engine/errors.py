"""The one exception a user may see: a sentence that says what was expected, what came, and what to do."""


class VivifyError(Exception):
    """Bad input or a missing piece, told in one clear sentence; the command line prints it without a traceback."""


class EngineFull(VivifyError):
    """The engine already serves as many sessions as it may."""


class EngineAway(VivifyError):
    """There is no engine process just now; one is being started."""

    def __init__(self) -> None:
        super().__init__("The engine is not running: it is being restarted, please try again in a moment.")


class UnknownAvatar(VivifyError):
    """The avatar asked for is not one of those installed."""


class NoConsent(VivifyError):
    """An avatar of which nobody says that its person agreed, where that is required."""


class TwoPeople(VivifyError):
    """Photo and film seem to show two people; whoever knows better may say so."""

    def __init__(self) -> None:
        super().__init__(
            "Photo and film were expected to show one person, but their faces are two people's, as far as can be told: "
            "give a photo of who was filmed, or the film alone."
        )
