"""Every error mlpipe raises on purpose: a stable code, what, where, why and how to fix it."""

from __future__ import annotations

from dataclasses import dataclass

from mlpipe.exit_codes import ExitCode


@dataclass(frozen=True)
class Location:
    """A place in a file. Units: line and column count from 1; None where the place is the whole file."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        """Return `file:line:column`, as editors and terminals link it."""
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)


class MlpipeError(Exception):
    """An error with a cause the user can act on. The command line prints it as one message, without a traceback."""

    code = "E000"
    exit_code = ExitCode.STEP_FAILED

    def __init__(self, what: str, *, where: Location | str | None = None, why: str | None = None, fix: str | None = None) -> None:
        """Keep the four parts apart, so that the console, JSON and reports can show them each in their way."""
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        """Return the one-line form: `where: what (why); fix`."""
        text = self.what if self.where is None else f"{self.where}: {self.what}"
        if self.why:
            text += f" ({self.why})"
        return f"{text}; {self.fix}" if self.fix else text

    def as_dict(self) -> dict[str, str | None]:
        """Return the parts as JSON-able data; `type` is the class name."""
        where = None if self.where is None else str(self.where)
        return {"code": self.code, "type": type(self).__name__, "what": self.what, "where": where, "why": self.why, "fix": self.fix}


class RecipeError(MlpipeError):
    """The recipe, the workspace file or the command line is wrong."""

    code = "E100"
    exit_code = ExitCode.RECIPE_WRONG


class RecipeErrors(RecipeError):
    """Several mistakes in one file, all of them, in the order in which they stand there."""

    code = "E101"

    def __init__(self, errors: list[RecipeError]) -> None:
        """Join the messages, one a line."""
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = tuple(errors)


class EnvironmentLacksTool(MlpipeError):
    """A package or program that the recipe needs is not installed; `fix` is the command that installs it."""

    code = "E200"
    exit_code = ExitCode.ENVIRONMENT_LACKS_TOOL


class StepFailed(MlpipeError):
    """A step could not do its work."""

    code = "E300"


class SourceUnreadable(StepFailed):
    """A source model could not be loaded, or is not what the recipe says it is."""

    code = "E310"


class ConversionFailed(StepFailed):
    """The converter refused the model."""

    code = "E320"


class QuantizationFailed(StepFailed):
    """A compressed model did not change, or a weight decodes below the bound of its scheme."""

    code = "E330"


class NotExecutable(StepFailed):
    """The portable runtime cannot execute the model; the message lists every such layer by type and name."""

    code = "E340"


class InvalidInput(StepFailed):
    """A prediction was asked with inputs that the model does not accept."""

    code = "E350"


class SampleUnreadable(StepFailed):
    """A sample file could not be read or does not fit the model's input."""

    code = "E360"


class ModelFileInvalid(StepFailed):
    """A Core ML file is damaged or of a kind that mlpipe does not know."""

    code = "E370"


class StoreUnusable(MlpipeError):
    """The cache or the workspace's build folder cannot be written, or the disk is full."""

    code = "E400"


class UserCodeFailed(StepFailed):
    """A Python file that the recipe names is missing or fails to import."""

    code = "E380"
