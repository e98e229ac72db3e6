"""Every architecture, in one file that needs torch and EasyOCR alone: the export hands it to EasyOCR as it stands.

    Transformation     None | TPS            input (B, C, H, W) -> the same, words bent straight
    FeatureExtraction  VGG | RCNN | ResNet   -> (B, channels, h, T), averaged over h to (B, T, channels)
    SequenceModeling   None | BiLSTM         -> (B, T, hidden_size)
    Prediction         CTC | Attn            -> logits (B, frames, 1 + characters), class 0 is CTC's blank

The four stages are those of Baek et al., "What Is Wrong With Scene Text Recognition Model Comparisons?", ICCV 2019.
Tensors have the names that EasyOCR and the paper's deep-text-recognition-benchmark give them, so their files load.
Nothing depends on the width of the input, so a network trained on some widths reads all.
"""

from __future__ import annotations

import torch
from easyocr.model.modules import BidirectionalLSTM, ResNet_FeatureExtractor, VGG_FeatureExtractor
from torch import nn
from torch.nn import functional

IMPOSSIBLE = -100.0  # a logit whose probability is 0 in float32


class RecognitionNetwork(nn.Module):
    """Input -> logits of CTC frames, whatever the prediction: greedy CTC decoding reads them all.

    With Prediction "CTC" and the default stages this is EasyOCR's second-generation network, tensor for tensor; with
    ResNet, its first. `num_class` counts the characters and the blank; the attention has one class more, its end.
    """

    def __init__(
        self,
        input_channel: int,
        output_channel: int,
        hidden_size: int,
        num_class: int,
        Transformation: str = "None",
        FeatureExtraction: str = "VGG",
        SequenceModeling: str = "BiLSTM",
        Prediction: str = "CTC",
        num_fiducial: int = 20,
    ) -> None:
        super().__init__()
        extractors = {"VGG": VGG_FeatureExtractor, "RCNN": RcnnFeatureExtractor, "ResNet": ResNet_FeatureExtractor}
        if Transformation == "TPS":
            self.Transformation: nn.Module = ThinPlateSpline(num_fiducial, input_channel)
        else:
            self.Transformation = nn.Identity()
        self.FeatureExtraction = extractors[FeatureExtraction](input_channel, output_channel)
        size = output_channel
        if SequenceModeling == "BiLSTM":
            self.SequenceModeling: nn.Module = nn.Sequential(
                BidirectionalLSTM(output_channel, hidden_size, hidden_size),
                BidirectionalLSTM(hidden_size, hidden_size, hidden_size),
            )
            size = hidden_size
        else:
            self.SequenceModeling = nn.Identity()
        self.Prediction = (
            Attention(size, hidden_size, num_class + 1) if Prediction == "Attn" else nn.Linear(size, num_class)
        )

    def forward(self, input_BCHW: torch.Tensor, text_BL: torch.Tensor | None = None) -> torch.Tensor:
        """Logits (B, frames, classes). With `text_BL` an attention is taught instead, see `Attention.forward`."""
        return self.predict(self.features(input_BCHW), text_BL)

    def features(self, input_BCHW: torch.Tensor) -> torch.Tensor:
        """What the prediction looks at, (B, T, D)."""
        maps_BDhT = self.FeatureExtraction(self.Transformation(input_BCHW))
        features_BTD: torch.Tensor = self.SequenceModeling(maps_BDhT.mean(dim=2).permute(0, 2, 1))
        return features_BTD.contiguous()

    def predict(self, features_BTD: torch.Tensor, text_BL: torch.Tensor | None = None) -> torch.Tensor:
        if not isinstance(self.Prediction, Attention):
            logits_BTC: torch.Tensor = self.Prediction(features_BTD)
            return logits_BTC
        if text_BL is not None:
            return self.Prediction.forward(features_BTD, text_BL)
        return self.Prediction.read(features_BTD)


class ThinPlateSpline(nn.Module):
    """Bends the image so that a curved word lies straight: Shi et al., "Robust Scene Text Recognition with Automatic
    Rectification", CVPR 2016.

    A small network says where `num_fiducial` points, half along the top edge and half along the bottom, come from; a
    thin-plate spline through them says it of every pixel. Coordinates run from -1 to 1. It starts as the identity:
    words of documents are straight, and a network that was trained without it is not disturbed.
    """

    def __init__(self, num_fiducial: int, input_channel: int) -> None:
        super().__init__()
        x = torch.linspace(-1, 1, num_fiducial // 2)
        edges = [torch.stack([x, torch.full_like(x, y)], dim=1) for y in (-1.0, 1.0)]
        fiducials_F2 = torch.cat(edges)
        self.LocalizationNetwork = Localization(fiducials_F2, input_channel)
        self.register_buffer("fiducials_F2", fiducials_F2, persistent=False)
        self.register_buffer("solution_KF", spline_solution(fiducials_F2.double()).float(), persistent=False)
        self.fiducials_F2: torch.Tensor
        self.solution_KF: torch.Tensor

    def forward(self, input_BCHW: torch.Tensor) -> torch.Tensor:
        height, width = input_BCHW.shape[2:]
        source_BF2 = self.LocalizationNetwork(input_BCHW)
        grid_BN2 = self.basis(height, width) @ (self.solution_KF @ source_BF2)
        grid_BHW2 = grid_BN2.reshape(-1, height, width, 2)
        # The benchmark's grid runs through pixel centers, and is sampled from corner to corner: its weights know that.
        return functional.grid_sample(input_BCHW, grid_BHW2, padding_mode="border", align_corners=True)

    def basis(self, height: int, width: int) -> torch.Tensor:
        """The spline's terms 1, x, y, r² log r of every pixel, (height * width, 3 + num_fiducial)."""
        device = self.fiducials_F2.device
        x = (2 * torch.arange(width, device=device) + 1) / width - 1
        y = (2 * torch.arange(height, device=device) + 1) / height - 1
        pixels_N2 = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=2).reshape(-1, 2)
        distance_NF = (pixels_N2[:, None] - self.fiducials_F2[None]).square().sum(dim=2).sqrt()
        radial_NF = distance_NF.square() * (distance_NF + 1e-6).log()
        return torch.cat([torch.ones_like(pixels_N2[:, :1]), pixels_N2, radial_NF], dim=1)


def spline_solution(fiducials_F2: torch.Tensor) -> torch.Tensor:
    """The matrix (3 + F, F) that turns source points into the spline's coefficients (Bookstein, PAMI 1989)."""
    distance_FF = (fiducials_F2[:, None] - fiducials_F2[None]).square().sum(dim=2).sqrt()
    distance_FF.fill_diagonal_(1.0)  # r² log r is 0 there
    corner, number = torch.zeros(3, 3).double(), len(fiducials_F2)
    affine_F3 = torch.cat([torch.ones(number, 1).double(), fiducials_F2], dim=1)
    passes_through = torch.cat([affine_F3, distance_FF.square() * distance_FF.log()], dim=1)
    bends_least = torch.cat([corner, affine_F3.T], dim=1)
    inverse: torch.Tensor = torch.linalg.inv(torch.cat([passes_through, bends_least]))
    return inverse[:, :number]


class Localization(nn.Module):
    """Image -> where the fiducial points come from, (B, F, 2)."""

    def __init__(self, fiducials_F2: torch.Tensor, input_channel: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in [(input_channel, 64), (64, 128), (128, 256), (256, 512)]:
            layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
            layers += [nn.MaxPool2d(2) if after < 512 else nn.AdaptiveAvgPool2d(1)]
        self.conv = nn.Sequential(*layers)
        self.localization_fc1 = nn.Sequential(nn.Linear(512, 256), nn.ReLU(inplace=True))
        self.localization_fc2 = nn.Linear(256, fiducials_F2.numel())
        nn.init.zeros_(self.localization_fc2.weight)
        with torch.no_grad():
            self.localization_fc2.bias.copy_(fiducials_F2.flatten())

    def forward(self, input_BCHW: torch.Tensor) -> torch.Tensor:
        source: torch.Tensor = self.localization_fc2(self.localization_fc1(self.conv(input_BCHW).flatten(1)))
        return source.reshape(-1, self.localization_fc2.out_features // 2, 2)


class RcnnFeatureExtractor(nn.Module):
    """Gated recurrent convolutions: Wang and Hu, "Gated Recurrent Convolution Neural Network for OCR", NIPS 2017."""

    def __init__(self, input_channel: int, output_channel: int) -> None:
        super().__init__()
        first, second, third = output_channel // 8, output_channel // 4, output_channel // 2
        self.ConvNet = nn.Sequential(
            *(nn.Conv2d(input_channel, first, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
            *(GatedRecurrentConvolution(first, first), nn.MaxPool2d(2)),
            *(GatedRecurrentConvolution(first, second), nn.MaxPool2d(2, (2, 1), (0, 1))),
            *(GatedRecurrentConvolution(second, third), nn.MaxPool2d(2, (2, 1), (0, 1))),
            *(nn.Conv2d(third, output_channel, 2, bias=False), nn.BatchNorm2d(output_channel), nn.ReLU(inplace=True)),
        )

    def forward(self, input_BCHW: torch.Tensor) -> torch.Tensor:
        maps_BDhT: torch.Tensor = self.ConvNet(input_BCHW)
        return maps_BDhT


class GatedRecurrentConvolution(nn.Module):
    """A convolution that looks again at its own output, five times, through a gate that limits how far it sees.

    Equations 3 to 5 of the paper; the convolutions are shared by the iterations, the normalizations are not.
    """

    def __init__(self, input_channel: int, output_channel: int, num_iterations: int = 5) -> None:
        super().__init__()
        self.wgf_u = nn.Conv2d(input_channel, output_channel, 1, bias=False)
        self.wgr_x = nn.Conv2d(output_channel, output_channel, 1, bias=False)
        self.wf_u = nn.Conv2d(input_channel, output_channel, 3, padding=1, bias=False)
        self.wr_x = nn.Conv2d(output_channel, output_channel, 3, padding=1, bias=False)
        self.BN_x_init = nn.BatchNorm2d(output_channel)
        self.GRCL = nn.ModuleList(GatedIteration(output_channel) for _ in range(num_iterations))

    def forward(self, input_BCHW: torch.Tensor) -> torch.Tensor:
        gate_of_input, input_term = self.wgf_u(input_BCHW), self.wf_u(input_BCHW)
        state: torch.Tensor = self.BN_x_init(input_term).relu()
        for iteration in self.GRCL:
            state = iteration(gate_of_input, self.wgr_x(state), input_term, self.wr_x(state))
        return state


class GatedIteration(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.BN_gfu = nn.BatchNorm2d(channels)
        self.BN_grx = nn.BatchNorm2d(channels)
        self.BN_fu = nn.BatchNorm2d(channels)
        self.BN_rx = nn.BatchNorm2d(channels)
        self.BN_Gx = nn.BatchNorm2d(channels)

    def forward(
        self,
        gate_of_input: torch.Tensor,
        gate_of_state: torch.Tensor,
        input_term: torch.Tensor,
        recurrent: torch.Tensor,
    ) -> torch.Tensor:
        gate = (self.BN_gfu(gate_of_input) + self.BN_grx(gate_of_state)).sigmoid()
        state: torch.Tensor = (self.BN_fu(input_term) + self.BN_Gx(self.BN_rx(recurrent) * gate)).relu()
        return state


State = tuple[torch.Tensor, torch.Tensor]
"""The decoder's hidden state and cell, (B, hidden_size) each."""


class Attention(nn.Module):
    """Writes one character after another and looks where it likes: Bahdanau et al., "Neural Machine Translation by
    Jointly Learning to Align and Translate", ICLR 2015, as the decoder of Shi et al., CVPR 2016.

    Its classes: 0 begins a text, 1 ends it, i + 2 is character i.
    """

    BEGIN, END = 0, 1

    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        self.attention_cell = AttentionCell(input_size, hidden_size, num_classes)
        self.generator = nn.Linear(hidden_size, num_classes)
        self.max_steps: int | None = None  # a graph that cannot loop by itself (ONNX) needs a number; else T + 1

    def forward(self, features_BTD: torch.Tensor, text_BL: torch.Tensor) -> torch.Tensor:
        """Logits (B, L, classes) of what follows each character of `text_BL`, which starts with BEGIN."""
        keys, state = self.attention_cell.look(features_BTD), self.start(features_BTD)
        steps = []
        for previous_B in text_BL.unbind(dim=1):
            logits_BC, state = self.step(features_BTD, keys, state, previous_B)
            steps.append(logits_BC)
        return torch.stack(steps, dim=1)

    def read(self, features_BTD: torch.Tensor) -> torch.Tensor:
        """The likeliest character at each step, written as CTC frames: each followed by a blank, all blank at the end.

        So the probability of a character's frame is the attention's, and whoever decodes CTC greedily reads the text:
        EasyOCR's Reader does. The decoder stops when all texts have ended, or after T + 1 characters.
        """
        keys, state = self.attention_cell.look(features_BTD), self.start(features_BTD)
        previous_B = torch.full_like(features_BTD[:, 0, 0], self.BEGIN, dtype=torch.long)
        ended_B1 = torch.zeros_like(previous_B, dtype=torch.bool).unsqueeze(1)
        blank_1C = functional.pad(torch.zeros(1, 1), (0, self.generator.out_features - 2), value=IMPOSSIBLE)
        blank_1C, frames = blank_1C.to(features_BTD), []
        for _ in range(self.max_steps or features_BTD.shape[1] + 1):
            logits_BC, state = self.step(features_BTD, keys, state, previous_B)
            frame_BC = logits_BC[:, self.END :]  # a text does not begin twice; its end is the blank
            frame_BC = torch.where(ended_B1, blank_1C, frame_BC)
            frames += [frame_BC, blank_1C.expand_as(frame_BC)]
            previous_B = frame_BC.argmax(dim=1) + self.END
            ended_B1 = ended_B1 | (previous_B == self.END).unsqueeze(1)
            if self.max_steps is None and bool(ended_B1.all()):
                break
        return torch.stack(frames, dim=1)

    def start(self, features_BTD: torch.Tensor) -> State:
        zeros = torch.zeros_like(features_BTD[:, 0, :1]).repeat(1, self.generator.in_features)
        return zeros, zeros

    def step(
        self, features_BTD: torch.Tensor, keys_BTH: torch.Tensor, state: State, previous_B: torch.Tensor
    ) -> tuple[torch.Tensor, State]:
        """(logits (B, classes) of the next character, the state after `previous_B`)."""
        previous_BC = functional.one_hot(previous_B, self.generator.out_features).to(features_BTD.dtype)
        state = self.attention_cell(features_BTD, keys_BTH, state, previous_BC)
        return self.generator(state[0]), state


class AttentionCell(nn.Module):
    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        self.i2h = nn.Linear(input_size, hidden_size, bias=False)
        self.h2h = nn.Linear(hidden_size, hidden_size)
        self.score = nn.Linear(hidden_size, 1, bias=False)
        self.rnn = nn.LSTMCell(input_size + num_classes, hidden_size)

    def look(self, features_BTD: torch.Tensor) -> torch.Tensor:
        """What every step compares its state with, (B, T, hidden_size)."""
        keys_BTH: torch.Tensor = self.i2h(features_BTD)
        return keys_BTH

    def forward(
        self, features_BTD: torch.Tensor, keys_BTH: torch.Tensor, state: State, previous_BC: torch.Tensor
    ) -> State:
        scores_BT1 = self.score((keys_BTH + self.h2h(state[0]).unsqueeze(1)).tanh())
        context_BD = (scores_BT1.softmax(dim=1) * features_BTD).sum(dim=1)
        new_state: State = self.rnn(torch.cat([context_BD, previous_BC], dim=1), state)
        return new_state
