"""The table of RPC methods: names, how many parameters they take, and which thread they run on."""

import inspect
from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

from mereau.chain.embedded.chain import EmbeddedChain
from mereau.chain.embedded.errors import InvalidParamsError

Run = Callable[..., Any]


class Lane(Enum):
    """Where a method runs: beside mining, in turn with it, or as a part of it."""

    READ = "read"
    EXECUTE = "execute"
    SUBMIT = "submit"


class Method(NamedTuple):
    lane: Lane
    run: Run
    parameters_min: int
    parameters_max: int
    development: bool

    def __call__(self, chain: EmbeddedChain, parameters: list[Any]) -> Any:
        """The JSON result. Raises ChainError for anything that the caller got wrong."""
        count = len(parameters)
        if not self.parameters_min <= count <= self.parameters_max:
            raise InvalidParamsError(
                f"expected {self.parameters_min} to {self.parameters_max} parameters, found {count}"
            )
        return self.run(chain, *parameters)


class Registry(dict[str, Method]):
    """The methods of one module by name."""

    def method(self, name: str, lane: Lane = Lane.READ, *, development: bool = False) -> Callable[[Run], Run]:
        """Register a function of the chain and the method's positional parameters."""

        def register(run: Run) -> Run:
            parameters = list(inspect.signature(run).parameters.values())[1:]
            required = sum(parameter.default is inspect.Parameter.empty for parameter in parameters)
            self[name] = Method(lane, run, required, len(parameters), development)
            return run

        return register
