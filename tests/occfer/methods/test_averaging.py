"""The moving average of a network's weights."""

import pytest
import torch
from torch import nn

from occfer.methods import AveragedNetwork


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))


@pytest.mark.parametrize("decay", [0.05, 0.5, 0.999])
def test_weights_and_statistics_follow_slowly_and_counters_at_once(decay: float) -> None:
    trained = network()
    average = AveragedNetwork(trained, decay)
    assert not average.network.training and trained.training
    expected = {name: value.double().clone() for name, value in trained.state_dict().items()}
    for number in range(12):
        with torch.no_grad():
            for parameter in trained.parameters():
                parameter.add_(1.0)
        trained(torch.rand(4, 3, generator=torch.Generator().manual_seed(number)))
        average.update(trained, number)
        share = min(decay, (1 + number) / (10 + number))
        for name, value in trained.state_dict().items():
            expected[name] = share * expected[name] + (1 - share) * value.double()
    for name, value in average.network.state_dict().items():
        if name == "1.num_batches_tracked":
            assert value == 12
        else:
            torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-6)


def test_the_average_shares_nothing_with_the_network_and_is_not_trained() -> None:
    trained = network()
    average = AveragedNetwork(trained, 0.9)
    own = {value.data_ptr() for value in average.network.state_dict().values()}
    assert own.isdisjoint(value.data_ptr() for value in trained.state_dict().values())
    assert not any(parameter.requires_grad for parameter in average.network.parameters())
