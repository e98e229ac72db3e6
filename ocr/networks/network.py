"""The sizes and stages of a network: what a config asks for, what travels with weights, and the module of them."""

from __future__ import annotations

from typing import Literal

import msgspec

from ocr.config import Config
from ocr.networks.architectures import RecognitionNetwork
from ocr.patch import IMG_HEIGHT, Width, num_steps


class Network(msgspec.Struct, frozen=True):
    """What a network is made of, in the config's spelling, and the height of input it is trained on.

    The defaults are those of korean_g2. `num_fiducial` says nothing without TPS, `hidden_size` without BiLSTM and Attn.
    """

    img_height: int = IMG_HEIGHT
    input_channel: int = 1
    output_channel: int = 256
    hidden_size: int = 256
    Transformation: Literal["None", "TPS"] = "None"
    FeatureExtraction: Literal["VGG", "RCNN", "ResNet"] = "VGG"
    SequenceModeling: Literal["None", "BiLSTM"] = "BiLSTM"
    Prediction: Literal["CTC", "Attn"] = "CTC"
    num_fiducial: int = 20

    @property
    def stages(self) -> str:
        """`None-VGG-BiLSTM-CTC`, as the benchmark names them."""
        return f"{self.Transformation}-{self.FeatureExtraction}-{self.SequenceModeling}-{self.Prediction}"

    def num_steps(self, width: Width) -> Width:
        """Time steps T of the features for an input of `width` pixels, or of many."""
        return num_steps(width) + (0 if self.FeatureExtraction == "VGG" else 2)


def network_of(config: Config) -> Network:
    return Network(**{name: getattr(config, name) for name in Network.__struct_fields__})


def build_model(network: Network, num_classes: int) -> RecognitionNetwork:
    """A freshly initialized network; `num_classes` is the charset's. `model(input_BCHW)` gives (B, frames, classes)."""
    sizes = msgspec.structs.asdict(network)
    del sizes["img_height"]  # the features' height is averaged away
    return RecognitionNetwork(**sizes, num_class=num_classes)
