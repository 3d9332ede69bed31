from dataclasses import replace

import pytest
import torch
from torch import nn

from occfer.errors import UnknownNameError
from occfer.models import BACKBONES
from occfer.models.classifier import IMAGENET_MEAN, IMAGENET_STD, Classifier, build_classifier
from occfer.models.decoder import Decoder
from occfer.models.discriminator import Discriminator
from occfer.models.seeding import weight_seed

SIZES_PX = (48, 88, 144, 224)  # the paper's: CK+, RAF-DB, SFEW, AffectNet
FEATURE_SIDES = {48: 6, 88: 11, 144: 18, 224: 28}


def faces(count: int = 2, size_px: int = 48) -> torch.Tensor:
    return torch.rand(count, 3, size_px, size_px, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", BACKBONES)
def test_a_branch_is_the_torchvision_network_with_another_head(name: str) -> None:
    classifier = build_classifier(name, 7).eval()
    images = faces()
    mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    normalised = (images - mean[:, None, None]) / std[:, None, None]
    torch.testing.assert_close(classifier(images), classifier.network(normalised))


@pytest.mark.parametrize("name", BACKBONES)
def test_cutting_at_the_feature_changes_nothing(name: str) -> None:
    classifier = build_classifier(name, 5).eval()
    images = faces()
    features, logits = classifier.both(images)
    assert features.shape == (2, BACKBONES[name].feature_channels, 6, 6)
    assert logits.shape == (2, 5)
    assert torch.equal(features, classifier.features(images))
    assert torch.equal(logits, classifier.from_features(features))
    assert torch.equal(logits, classifier(images))


@pytest.mark.parametrize("name", BACKBONES)
def test_the_feature_is_the_last_map_at_stride_eight(name: str) -> None:
    """Found by running the trunk module by module, not by what the table says."""
    backbone = BACKBONES[name]
    network, maps = build_classifier(name, 7).eval().network, faces(1, 64)
    last = ""
    for part in backbone.trunk:
        maps = network.get_submodule(part)(maps)
        last = part if maps.shape[-1] == 64 // 8 else last
    assert backbone.feature_node == last
    assert backbone.stem + backbone.rest == backbone.trunk


def test_resnet50_is_the_default_and_has_the_papers_feature() -> None:
    assert next(iter(BACKBONES)) == "resnet50"
    with torch.no_grad():
        features = build_classifier("resnet50", 7).eval().features(faces(1, 224))
    assert features.shape == (1, 512, 28, 28)


@pytest.mark.parametrize("size_px", SIZES_PX)
def test_sizes_of_the_feature(size_px: int) -> None:
    with torch.no_grad():
        features = build_classifier("mobilenet_v2", 7).eval().features(faces(1, size_px))
    assert features.shape[-2:] == (FEATURE_SIDES[size_px],) * 2


def test_the_feature_survives_the_layers_after_it() -> None:
    """An in-place activation after the cut would change h under the discriminator's eyes."""
    for name in BACKBONES:
        classifier = build_classifier(name, 7)
        features = classifier.features(faces())
        before = features.clone()
        classifier.from_features(features)
        assert torch.equal(features, before), name


def test_only_weights_are_saved() -> None:
    keys = build_classifier("resnet18", 7).state_dict().keys()
    assert all(key.startswith("network.") for key in keys)
    assert build_classifier("mobilenet_v2", 7).head_prefix == "network.classifier.1."


def test_an_unknown_backbone_is_named() -> None:
    with pytest.raises(UnknownNameError, match="unknown backbone 'vgg'; choose one of: resnet50, resnet18"):
        build_classifier("vgg", 7)


def test_a_backbone_whose_head_is_not_a_linear_layer_is_refused() -> None:
    backbone = replace(BACKBONES["resnet18"], head="layer4")
    with pytest.raises(TypeError, match="head 'layer4' is a Sequential"):
        Classifier(backbone, 7)


@pytest.mark.parametrize("size_px", SIZES_PX)
def test_the_discriminator_ends_at_one_logit(size_px: int) -> None:
    discriminator = Discriminator(32)
    side = FEATURE_SIDES[size_px]
    features = torch.randn(3, 32, side, side)
    assert discriminator.maps(features).shape == (3, 1, 1, 1)
    assert torch.equal(discriminator(features), discriminator.maps(features)[:, 0, 0, 0])


def test_a_larger_map_gives_the_mean_of_its_logits() -> None:
    discriminator = Discriminator(8)
    features = torch.randn(2, 8, 40, 72)
    maps = discriminator.maps(features)
    assert maps.shape == (2, 1, 2, 3)
    torch.testing.assert_close(discriminator(features), maps.flatten(1).mean(dim=1))


def test_the_discriminator_stays_in_float32_under_autocast() -> None:
    discriminator = Discriminator(16)
    features = torch.rand(7, 16, 3, 3, generator=torch.Generator().manual_seed(1)).bfloat16()

    def passed() -> list[torch.Tensor]:
        logits = discriminator(features)
        parameters = list(discriminator.parameters())
        return [logits, *torch.autograd.grad(logits.sum(), parameters)]

    with torch.autocast("cpu", torch.bfloat16):
        mixed = passed()
    features = features.float()
    for inside, outside in zip(mixed, passed(), strict=True):
        assert inside.dtype == torch.float32 and torch.equal(inside, outside)


def test_the_discriminator_has_five_convolutions() -> None:
    layers = [layer for layer in Discriminator(512).modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in layers] == [128, 256, 512, 1024, 1]
    assert all(layer.kernel_size == (3, 3) and layer.stride == (2, 2) and layer.padding == (1, 1) for layer in layers)


@pytest.mark.parametrize("size_px", SIZES_PX)
def test_the_decoder_restores_the_size(size_px: int) -> None:
    side = FEATURE_SIDES[size_px]
    with torch.no_grad():
        picture = Decoder(32).eval()(torch.randn(1, 32, side, side))
    assert picture.shape == (1, 3, size_px, size_px)
    assert picture.min() >= 0
    assert picture.max() <= 1


def test_the_decoder_has_three_deconvolutions() -> None:
    layers = [layer for layer in Decoder(512).modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert [(layer.in_channels, layer.out_channels) for layer in layers] == [(512, 256), (256, 128), (128, 3)]
    assert all(layer.kernel_size == (4, 4) and layer.stride == (2, 2) for layer in layers)


def drawn(seed: int, part: str) -> torch.Tensor:
    with weight_seed(seed, part):
        return nn.Linear(3, 2).weight.detach().clone()


def test_weights_follow_from_seed_and_part_alone() -> None:
    first = drawn(0, "occluded")
    torch.rand(5)
    assert torch.equal(drawn(0, "occluded"), first)
    assert not torch.equal(drawn(0, "clean"), first)
    assert not torch.equal(drawn(1, "occluded"), first)


def test_weight_seed_puts_the_random_stream_back() -> None:
    before = torch.get_rng_state()
    drawn(0, "occluded")
    assert torch.equal(torch.get_rng_state(), before)
