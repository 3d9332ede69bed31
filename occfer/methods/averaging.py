"""The moving average of a network's weights that `--ema` validates and keeps in place of the weights themselves."""

from copy import deepcopy
from typing import Generic, TypeVar

from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

Network = TypeVar("Network", bound=nn.Module)


class AveragedNetwork(Generic[Network]):
    """A copy of a network whose weights follow those of the network slowly.

    After update n, counted from 0, each weight w of the copy becomes d w + (1 - d) v, where v is the network's and d
    the decay, at most (1 + n) / (10 + n) [decided]: without that, the average of a short training would consist of
    initial weights. Statistics of batch norm belong to the weights and are averaged too; counters are copied.

    Args:
        network: copied as it is now.
        decay: the d of late updates, from 0 to below 1.

    Attributes:
        network: the copy, in eval mode.
    """

    def __init__(self, network: Network, decay: float) -> None:
        self.network = deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    def update(self, network: nn.Module, number: int) -> None:
        """Follows the network after its update with that number, counted from 0."""
        pairs = list(zip(self.network.state_dict().values(), network.state_dict().values(), strict=True))
        decay = min(self._decay, (1 + number) / (10 + number))
        averages, values = zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True)
        get_ema_multi_avg_fn(decay)(averages, values, number)  # type: ignore[no-untyped-call]
        for counter, value in pairs:
            if not counter.is_floating_point():
                counter.copy_(value)
